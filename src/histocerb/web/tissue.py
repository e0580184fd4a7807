"""Cells of tissue for the browser: one small binary for the whole slide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from histocerb.analysis.tissue import prob_column, read_tissue
from histocerb.core.tasks import TaskSpec

_MAGIC = 0x31544248  # "HBT1", little-endian


def tissue_cells(path: Path, spec: TaskSpec) -> bytes:
    """All cells of a slide.

    Little-endian: uint32 magic, N cells, C classes; float32 side of a cell in level-0 pixels;
    uint16 column[N], row[N]; uint8 class code[N]; uint8 probabilities[N * C], 255 is 1.
    """
    classes = spec.patch.classes if spec.patch else ()
    table = read_tissue(path)
    side = float(table["width"][0].as_py()) if len(table) else 0.0
    shares = [np.asarray(table[prob_column(name)], np.float32) for name in classes]
    stacked = np.stack(shares, axis=1) if shares else np.zeros((len(table), 0), np.float32)
    words = np.array(table["class"].cast(pa.string()).to_pylist(), dtype=object)
    codes = np.zeros(len(table), np.uint8)
    for code, name in enumerate(classes):
        codes[words == name] = code
    parts = [
        np.array([_MAGIC, len(table), len(classes)], "<u4"),
        np.array([side], "<f4"),
        np.asarray(table["column"]).astype("<u2"),
        np.asarray(table["row"]).astype("<u2"),
        codes,
        np.round(stacked * 255).astype(np.uint8),
    ]
    return b"".join(part.tobytes() for part in parts)
