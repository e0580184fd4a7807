"""Tables 4, 5 and 7 of the paper in miniature: configs/paper with tiny networks, pictures with exact truth.

Run as `python -m benchmarks.bench_experiments [--steps N] [--out DIR]`; with --out it can be interrupted.
Rows that differ by ImageNet weights only are left out: there are none for such networks.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.known_answer.store import Counts, write_store
from histocerb.data.augment import AugmentParams
from histocerb.models.config import EncoderConfig, NetworkConfig
from histocerb.training.begin import network_config
from histocerb.training.config import TrainConfig
from histocerb.training.experiment.data import on_store
from histocerb.training.experiment.files import check, read_experiment
from histocerb.training.experiment.plan import Experiment, Row, Run
from histocerb.training.experiment.process import launch
from histocerb.training.experiment.results import Line, gather
from histocerb.training.experiment.run import run_experiment, write_table

CONFIGS = Path(__file__).parents[1] / "configs" / "paper"
COUNTS = Counts(nuclei=24, gland=24, lumen=24, tissue=90, side_px=192)
FOLDS = 2
STL, MTL, TASK, FIGURE = "ResNet-34 STL Fixed", "ResNet-34 MTL Mixed", "lumen", "pq"
LEFT_OUT = ("IN-MTL",)
RESNET = EncoderConfig(blocks=(1, 1, 1), widths=(16, 32, 48, 64), stem_stride=2)
UNET = EncoderConfig(blocks=(1, 1, 1, 1), widths=(16, 16, 16, 32, 32), kind="unet")


def miniature(name: str, store: Path, steps: int) -> Experiment:
    """A table of the paper on another store, with tiny networks, few steps, and no external test."""
    full = read_experiment(CONFIGS / f"{name}.toml")
    sections = tuple(
        replace(section, columns=tuple(column for column in section.columns if column.part == "cross"))
        for section in full.sections
    )
    rows = tuple(_small_row(row, steps) for row in full.rows if row.runs and row.name not in LEFT_OUT)
    small = replace(
        full,
        title=f"{full.title} (in miniature)",
        store=str(store),
        folds=tuple(f"fold-{number + 1}" for number in range(FOLDS)),
        external=None,
        sections=tuple(section for section in sections if section.columns),
        rows=rows,
    )
    check(small, name)
    return small


def _small_row(row: Row, steps: int) -> Row:
    labels = tuple(label.removeprefix("IN-") for label in row.labels)
    runs = tuple(replace(run, config=_small(run, steps)) for run in row.runs)
    return replace(row, labels=labels, runs=runs, paper=())


def _small(run: Run, steps: int) -> TrainConfig:
    config = run.config
    stages = tuple(replace(stage, steps=steps, lr=3e-3, schedule="cosine") for stage in config.stages)
    augment = AugmentParams(warp_prob=0.3, blur_prob=0.1, colour_prob=0.3, stain_prob=0.0)
    return replace(
        config,
        network=_small_network(network_config(config.network)),
        stages=stages,
        encoder_weights=None,
        sampler=replace(config.sampler, batch_size=6),
        crops=replace(config.crops, crop_px=96, augment=augment),
        workers=0,
        save_every=100,
        validation=replace(config.validation, images=1),
    )


def _small_network(network: NetworkConfig) -> NetworkConfig:
    encoder = UNET if network.encoder.kind == "unet" else RESNET
    fine = encoder.stem_stride > 1
    return NetworkConfig(encoder, head_width=32, patch_width=32, subpixel=fine, branches=network.branches)


def verdict(lines: Sequence[Line]) -> str:
    """Whether MTL helps lumina, in one line."""
    single, several = (_values(lines, name) for name in (STL, MTL))
    if not single or single.keys() != several.keys():
        return "does MTL help lumina? runs are missing"
    gains = [several[fold] - single[fold] for fold in single]
    mean, better = sum(gains) / len(gains), sum(gain > 0 for gain in gains)
    return (
        f"does MTL help lumina? PQ {mean:+.3f} against a network for lumina alone, higher in {better} of "
        f"{len(gains)} folds (+0.082 in the paper). Simple pictures, tiny networks, few folds: it shows that "
        "the experiment runs, not what holds for tissue."
    )


def _values(lines: Sequence[Line], name: str) -> dict[str, float]:
    cells = [cell for line in lines if line.row.name == name for section in line.cells for cell in section]
    cell = next(c for c in cells if (c.column.task, c.column.figure) == (TASK, FIGURE))
    return {fold: value for fold, value in cell.values.items() if value is not None}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="optimiser steps of every run")
    parser.add_argument("--tables", nargs="*", default=["table4", "table5", "table7"])
    parser.add_argument("--out", type=Path, help="keep the runs there, and go on with them")
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # one run per core: threads of one so small wait for each other
    devices = ("cpu",) * (os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as scratch:
        out = chosen.out or Path(scratch)
        store = out / "store"
        if not store.exists():
            write_store(store, COUNTS, folds=FOLDS)
        for name in chosen.tables:
            begin, experiment = time.monotonic(), on_store(miniature(name, store, chosen.steps))
            run_experiment(experiment, out, devices, launch)
            print(write_table(experiment, out))
            print(f"{name}: {time.monotonic() - begin:.0f} s\n", flush=True)
            if name == "table4":
                print(verdict(gather(experiment, out)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
