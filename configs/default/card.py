"""Writes the card of the default model: every figure from an evaluation report and the model's own facts.

    python configs/default/card.py VALID.json SEEN.json CONSEP.json EXTERNAL.json STORE LAST_STORE MODEL

The reports are of `histocerb evaluate`: of the third run on images that it has not seen; of the model that
ships on the same images and on the other ones of CoNSeP, all of which it was trained on; and on the tiles.
The stores are that of these images, and that of the last run. `make.sh` makes them all.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

from histocerb.data.store import Store

TEMPLATE = Path(__file__).with_suffix(".md")
CARD = "MODEL_CARD.md"
TERMS = "research use only (GlaS: no commercial use)"
HOURS = 8.5
"""Time of the whole run on the machine that the card names."""


def object_row(source: str, task: str, found: dict[str, Any], seen: dict[str, Any]) -> str:
    """A row of the first table."""
    dice, pq = (
        f"{found[name]['mean']:.2f} ({found[name]['low']:.2f} to {found[name]['high']:.2f})"
        for name in ("dice", "pq")
    )
    types = found.get("types")
    said = f"{types['accuracy']['mean']:.2f} / {types['mf1']['mean']:.2f}" if types else ""
    f1 = found["object_f1"]["mean"]
    known = " | ".join(f"{seen[name]['mean']:.2f}" for name in ("dice", "pq", "object_f1"))
    return f"| {source} | {task} | {found['dice']['n']} | {dice} | {pq} | {f1:.2f} | {said} | {known} |"


def pq_and_dice(report: dict[str, Any]) -> str:
    """Means over the images of CoNSeP."""
    found = report["summary"]["consep"]["nuclei"]
    return f"{found['pq']['mean']:.3f} / {found['dice']['mean']:.3f}"


def patient_rows(report: dict[str, Any]) -> str:
    """A row per patient of the images with glands: what is found, and means over its images."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in report["images"]:
        if row["source"] == "glas" and "gland" in row["tasks"]:
            found[row["patient"]].append(row["tasks"]["gland"])
    rows = []
    for patient, glands in sorted(found.items(), key=lambda item: -len(item[1])):
        counts = [str(sum(gland[name] for gland in glands)) for name in ("objects", "tp", "fp")]
        means = [f"{fmean(gland[name] for gland in glands):.2f}" for name in ("dice", "pq", "object_f1")]
        rows.append(f"| {' | '.join([patient, str(len(glands)), *counts, *means])} |")
    return "\n".join(rows)


def f1_rows(f1: dict[str, float | None]) -> str:
    """A row per class that was there."""
    return "\n".join(f"| {name} | {value:.2f} |" for name, value in f1.items() if value is not None)


def calibration_rows(fits: dict[str, dict[str, float]]) -> str:
    """A row per task that has a temperature."""
    return "\n".join(
        f"| {task} | {fit['temperature']:.2f} | {fit['ece_before']:.3f} | {fit['ece_after']:.3f} |"
        for task, fit in fits.items()
    )


def tissue_table(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Columns, rows and last row of the table of tissue."""
    names = list(next(iter(found.values()))["f1"])
    rows = []
    for name in names:
        values = (tissue["f1"].get(name) for tissue in found.values())
        rows.append(f"| {name} | " + " | ".join("" if x is None else f"{x:.2f}" for x in values) + " |")
    return {
        "tissue_columns": " | ".join(f"{source} ({tissue['images']})" for source, tissue in found.items()),
        "tissue": "\n".join(rows),
        "tissue_accuracy": " | ".join(f"{tissue['accuracy']['mean']:.2f}" for tissue in found.values()),
    }


def card(
    report: dict[str, Any],
    seen: dict[str, Any],
    others: dict[str, Any],
    tiles: dict[str, Any],
    stores: tuple[Store, Store],
    model: Path,
) -> str:
    """The whole card."""
    summary = report["summary"]
    store, last = stores
    samples = Counter((record.source, record.split) for record in store.records)
    objects = [
        object_row(source, task, found, seen["summary"][source][task])
        for source, tasks in summary.items()
        if source != "all"
        for task, found in tasks.items()
        if "dice" in found
    ]
    tissue = {source: summary[source]["tissue"] for source in ("synth-tissue", "glas-tissue")}
    tissue["crc-val-he-7k"] = tiles["summary"]["crc-val-he-7k"]["tissue"]
    lumina = Counter(r.split for r in store.records if r.source == "glas" and r.label("lumen"))
    merged = summary["consep"]["nuclei"]["types"]
    facts = json.loads((Path(report["model"]["path"]) / "spec.json").read_text(encoding="utf-8"))["facts"]
    rows = [row for row in report["images"] if row["source"] == "consep"]
    values: dict[str, Any] = {
        source: f"{samples[source, 'train']} / {samples[source, 'valid']}"
        for source in ("glas", "consep", "synth", "synth-tissue", "glas-tissue")
    }
    values |= {
        "sha256": hashlib.sha256((model / "weights.safetensors").read_bytes()).hexdigest(),
        "data": report["data"]["fingerprint"][:12],
        "hours": HOURS,
        "synth-sheets": len(last.indices(source="synth-sheets")),
        "objects": "\n".join(objects),
        "patients": patient_rows(report),
        "consep_seen": pq_and_dice(seen),
        "consep_train": pq_and_dice(others),
        "consep_others": len(others["images"]),
        "consep_pq": ", ".join(f"{row['tasks']['nuclei']['pq']:.2f}" for row in rows),
        "lumina": f"{lumina['train']} / {lumina['valid']}",
        "tiles": samples["crc-val-he-7k", "external"],
        **tissue_table(tissue),
        "nuclei": f1_rows(summary["synth"]["nuclei"]["types"]["f1"]),
        "merged": ", ".join(f"{name} {value:.2f}" for name, value in merged["f1"].items()),
        "calibration": calibration_rows(facts["calibration"]),
        "ece": merged["calibration"]["ece"],
    }
    return TEMPLATE.read_text(encoding="utf-8").format_map(values)


def main() -> None:
    """Read the reports, write the card beside the weights, and the terms into the facts of the model."""
    reports = (json.loads(Path(path).read_text(encoding="utf-8")) for path in sys.argv[1:5])
    first, last, model = map(Path, sys.argv[5:8])
    spec = model / "spec.json"
    found = json.loads(spec.read_text(encoding="utf-8"))
    found["facts"] |= {"terms": TERMS, "card": CARD}
    spec.write_text(json.dumps(found, indent=1), encoding="utf-8")
    (model / CARD).write_text(card(*reports, (Store(first), Store(last)), model), encoding="utf-8")


if __name__ == "__main__":
    main()
