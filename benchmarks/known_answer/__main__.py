"""Trains every configuration of this folder on partly labelled pictures: does it find what is there?

Single tasks, multi-task with mixed and with fixed batches. What is measured are the held-out pictures,
through the checkpoint folder that training wrote. A few minutes per run on two cores; a run that was
interrupted goes on where it was when FOLDER is the same.

    python -m benchmarks.known_answer [--out FOLDER] [--only RUN ...]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.known_answer.store import write_store
from histocerb.api import load_model
from histocerb.core.config_file import read_config
from histocerb.core.tasks import HeadKind, TaskSpec
from histocerb.data.manifest import MANIFEST
from histocerb.data.splits import VALID
from histocerb.data.store import Store
from histocerb.training.config import TrainConfig
from histocerb.training.evaluation import Choice, Measured, measure
from histocerb.training.fit import fit

CONFIGS = {path.stem: path for path in sorted(Path(__file__).parent.glob("[ms]tl_*.toml"))}
TARGETS: dict[tuple[str, ...], float] = {
    ("nuclei", "pq"): 0.8,
    ("gland", "pq"): 0.8,
    ("lumen", "pq"): 0.8,
    ("tissue", "accuracy"): 0.9,
    ("nuclei", "types", "mf1"): 0.7,
}
"""What a run has to exceed, by place in the summary of an evaluation: of the tasks that it learns."""


def train(name: str, store: Store, out: Path) -> Path:
    """The checkpoint folder of a run."""
    config = replace(read_config(CONFIGS[name], TrainConfig), store=str(store.path))
    return fit(config, out / name, device="cpu")


def figures(model: Path, store: Store) -> dict[tuple[str, ...], float]:
    """The figures that have a target, on the held-out pictures, of what the model has heads for."""
    loaded = load_model(model, "cpu")
    measured = Measured(str(model), loaded.running.sha256, loaded.spec, loaded.predict)
    document = measure(store, Choice((VALID,)), measured)
    summary = document["summary"]["all"]
    return {place: _at(summary, place) for place in TARGETS if _learnt(place, loaded.spec)}


def recovered(found: Mapping[tuple[str, ...], float]) -> bool:
    """Whether all figures exceed their targets."""
    return all(value > TARGETS[place] for place, value in found.items())


def line(name: str, found: Mapping[tuple[str, ...], float], minutes: str, verdict: str) -> str:
    """A row of the table."""
    values = [f"{found[place]:.3f}" if place in found else "" for place in TARGETS]
    return "".join([f"{name:12}", *(f"{value:>20}" for value in values), f"{minutes:>10}", f"  {verdict}"])


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder to keep")
    parser.add_argument("--only", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out: Path = chosen.out or Path(scratch)
        path = out / "store"
        store = Store(path) if (path / MANIFEST).exists() else write_store(path)
        heads = "".join(f"{' '.join(place):>20}" for place in TARGETS)
        print(f"{'run':12}{heads}{'minutes':>10}", flush=True)
        print(line("target >", TARGETS, "", ""), flush=True)
        for name in chosen.only:
            begin = time.perf_counter()
            model = train(name, store, out)
            minutes = (time.perf_counter() - begin) / 60
            found = figures(model, store)
            _keep(out / name / "known-answer.json", found)
            verdict = "recovered" if recovered(found) else "NOT recovered"
            print(line(name, found, f"{minutes:.1f}", verdict), flush=True)


def _learnt(place: tuple[str, ...], spec: TaskSpec) -> bool:
    """Whether the model has the head that the figure is about."""
    task = next((task for task in spec.tasks if task.name == place[0]), None)
    return task is not None and ("types" not in place or task.head(HeadKind.TYPE) is not None)


def _at(summary: Mapping[str, Any], place: tuple[str, ...]) -> float:
    """A number, or the mean of a figure with an interval; 0 where it is undefined."""
    value: Any = summary
    for key in place:
        value = value[key]
    value = value["mean"] if isinstance(value, Mapping) else value
    return float(value or 0)


def _keep(path: Path, found: Mapping[tuple[str, ...], float]) -> None:
    path.write_text(json.dumps({" ".join(place): value for place, value in found.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
