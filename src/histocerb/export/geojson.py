"""GeoJSON files for QuPath (0.4 and later), in level-0 pixels; the features are those of `core.qupath`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa

from histocerb.core.errors import OutputError
from histocerb.core.qupath import write_features
from histocerb.core.tasks import Grouping, TaskSpec


def annotation_kinds(spec: TaskSpec) -> frozenset[str]:
    """Kinds that QuPath should treat as annotations: structures; the others (nuclei) are detections."""
    return frozenset(t.kind for t in spec.objects if t.postproc and t.postproc.grouping is Grouping.GROW)


def write_geojson(batches: Iterable[pa.RecordBatch], path: Path, annotations: Collection[str]) -> int:
    """Write a FeatureCollection; under a temporary name first, so that a file of that name is complete.

    Args:
        batches: Rows of the object table.
        path: File to write; replaced if there is one.
        annotations: Kinds to write as annotations.

    Returns:
        The number of features.

    Raises:
        OutputError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            count = write_features(batches, file, annotations)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"Expected to write {path}, found: {error.strerror}; free space or choose another --out."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return count
