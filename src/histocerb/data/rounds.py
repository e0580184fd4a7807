"""Rounds of labelling: what each added to a store, how the validation figures moved, and whether it paid.

Round 0 is all that nobody corrected for this store (public data sets). The figures of round K are those of a
model that was trained on everything up to it; they come from the reports of `histocerb evaluate` and are kept
in `rounds.json` in the store's folder.
"""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from histocerb.core.errors import DataError, OutputError, UsageError
from histocerb.data.manifest import read_manifest
from histocerb.data.splits import TRAIN

LEDGER = "rounds.json"
MEASURE = "pq"
"""The figure of a report that rounds are compared by: panoptic quality, with an interval over patients."""

_FEW_IMAGES = 10


@dataclass(frozen=True)
class Figure:
    """Panoptic quality on validation images.

    Attributes:
        n: images.
        mean: over them.
        low, high: bootstrap interval of the mean (95 %); None where the images are of one patient.
        images: hash of their names; "" where the ledger is older than it.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    images: str = ""

    @property
    def half_width(self) -> float | None:
        """Half of the interval: what chance does to the mean."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True)
class Round:
    """One round.

    Attributes:
        number: 0 for what was there before.
        samples: in the store.
        objects: per task, in the store.
        annotators: who corrected, in order of names.
        dates: when, in order.
        models: whose objects were corrected.
        figures: per "source, task", of the model trained up to this round; {} where none was recorded.
    """

    number: int
    samples: int
    objects: Mapping[str, int]
    annotators: tuple[str, ...]
    dates: tuple[str, ...]
    models: tuple[str, ...]
    figures: Mapping[str, Figure]


def source_of(number: int) -> str:
    """Name of the source that a round's samples are of."""
    return f"round-{number}"


def rounds(path: Path) -> list[Round]:
    """The rounds of the store in the folder `path`, in order.

    Raises:
        DataError: there is no store, or its ledger is damaged.
    """
    records, _ = read_manifest(path)
    ledger = _read_ledger(path)
    found = []
    for number in sorted({record.round for record in records} | set(ledger)):
        of_round = [record for record in records if record.round == number]
        objects: Counter[str] = Counter()
        for record in of_round:
            objects.update({label.task: label.n_objects for label in record.labels})
        annotators, dates, models = (
            tuple(sorted({getattr(record, name) for record in of_round} - {""}))
            for name in ("annotator", "date", "model")
        )
        figures = ledger.get(number, {})
        found.append(Round(number, len(of_round), dict(objects), annotators, dates, models, figures))
    return found


def refuse_loss(path: Path, number: int, names: Sequence[str]) -> None:
    """Refuse a round whose import would drop samples that the store has under the same number.

    Raises:
        DataError: there is no store.
        UsageError: samples would be lost.
    """
    records, _ = read_manifest(path)
    lost = sorted({record.name for record in records if record.source == source_of(number)} - set(names))
    if lost:
        raise UsageError(
            f"{path}: expected round {number} to hold nothing but these {len(names)} regions, found "
            f"{len(lost)} others such as {lost[0]}; give all its folders at once or take the next number"
        )


def record(path: Path, number: int, report: Path) -> None:
    """Keep the figures of a report as those of a round; earlier ones of that round are replaced.

    Raises:
        UsageError: a number below 0, or a report on training data.
        DataError: no store, or no report.
        OutputError: the ledger cannot be written.
    """
    if number < 0:
        raise UsageError(f"expected a round from 0, found {number}; write K=REPORT.json")
    read_manifest(path)
    ledger = _read_ledger(path) | {number: _figures(report)}
    document = {
        str(key): {name: asdict(figure) for name, figure in ledger[key].items()} for key in sorted(ledger)
    }
    temporary = path / f".{LEDGER}-{uuid.uuid4().hex}"
    try:
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, path / LEDGER)
    except OSError as error:
        raise OutputError(
            f"{path / LEDGER}: expected a file that can be written, found {error}; free space"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def verdict(found: Sequence[Round]) -> str:
    """Whether the last round still improved the model, in words.

    A change counts when it exceeds the larger half-width of the two 95 % intervals. That is strict: the same
    images were measured twice, so that smaller changes can be real; and it leaves out that training anew with
    another seed changes the figures, too.
    """
    measured = [one for one in found if one.figures]
    if not measured:
        return (
            "no round has validation figures; measure the model of round K with histocerb evaluate "
            "and add --report K=REPORT.json"
        )
    if len(measured) == 1:
        return f"only round {measured[0].number} has validation figures; a second one is needed to compare"
    before, last = measured[-2:]
    same = [
        name
        for name, figure in last.figures.items()
        if name in before.figures and _same_images(before.figures[name], figure)
    ]
    if not same:
        return (
            f"rounds {before.number} and {last.number} were measured on different images; "
            "measure both models on the same store"
        )
    chance = _chance(before, last, same)
    if not chance:
        return (
            f"rounds {before.number} and {last.number} were measured on one patient, which does not say what "
            "chance does; measure both models on images of several"
        )
    return _compared(before, last, chance) + _caution(last, list(chance), len(measured))


def _same_images(first: Figure, second: Figure) -> bool:
    unknown = not (first.images and second.images)
    return first.n == second.n and (unknown or first.images == second.images)


def _chance(before: Round, last: Round, same: Sequence[str]) -> dict[str, float]:
    """What chance does to each figure; without those of which an interval says nothing."""
    widths = {name: [one.figures[name].half_width for one in (before, last)] for name in same}
    return {name: max(w for w in both if w is not None) for name, both in widths.items() if None not in both}


def _compared(before: Round, last: Round, chance: Mapping[str, float]) -> str:
    same = list(chance)
    gain = {name: last.figures[name].mean - before.figures[name].mean for name in same}
    words = {
        name: f"{name} {before.figures[name].mean:.3f} -> {last.figures[name].mean:.3f} "
        f"({gain[name]:+.3f}, chance ±{chance[name]:.3f})"
        for name in same
    }
    better = [words[name] for name in same if gain[name] > chance[name]]
    worse = [words[name] for name in same if gain[name] < -chance[name]]
    start = f"round {last.number} against round {before.number}: "
    parts = [f"better: {'; '.join(better)}"] if better else []
    parts += [f"worse: {'; '.join(worse)}"] if worse else []
    if better:
        return f"{start}{'; '.join(parts)}. The last round still improved: go on"
    if worse:
        return f"{start}{'; '.join(parts)}. The last round did harm: look at its labels before going on"
    largest = max(same, key=lambda name: abs(gain[name]))
    return f"{start}no change beyond chance (largest: {words[largest]}). Improvement has stopped"


def _caution(last: Round, same: Sequence[str], compared: int) -> str:
    """What weakens the verdict."""
    doubts = []
    if compared == 2:
        doubts.append("it rests on one comparison")
    fewest = min(last.figures[name].n for name in same)
    if fewest < _FEW_IMAGES:
        doubts.append(f"intervals of {fewest} images are rough")
    return f"; but {' and '.join(doubts)}" if doubts else ""


def _figures(report: Path) -> dict[str, Figure]:
    """The figures of a report per "source, task"; tasks without the measure (patches) are left out."""
    try:
        document = json.loads(report.read_text(encoding="utf-8"))
        splits = document["data"]["splits"]
        sources = {image["source"] for image in document["images"]}
        found = {
            f"{source}, {task}": _figure(figures[MEASURE], _images(document["images"], source, task))
            for source in sorted(sources)
            for task, figures in document["summary"][source].items()
            if MEASURE in figures and figures[MEASURE]["mean"] is not None
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{report}: expected a report of histocerb evaluate, found {error}; give the file of its --out"
        ) from error
    if TRAIN in splits:
        raise UsageError(
            f"{report}: expected figures on images that were held out, found the split {TRAIN!r}; "
            "run histocerb evaluate with another --split"
        )
    if not found:
        raise DataError(
            f"{report}: expected figures of objects, found none; evaluate on a store with labels of objects"
        )
    return found


def _figure(row: Mapping[str, Any], images: str) -> Figure:
    low, high = (None if row[end] is None else float(row[end]) for end in ("low", "high"))
    return Figure(int(row["n"]), float(row["mean"]), low, high, images)


def _images(rows: Sequence[Mapping[str, Any]], source: str, task: str) -> str:
    """Hash of the names of the images of a report that count for a task."""
    names = sorted(row["id"] for row in rows if row["source"] == source and task in row["tasks"])
    return blake2b("\n".join(names).encode(), digest_size=8).hexdigest()


def _read_ledger(path: Path) -> dict[int, dict[str, Figure]]:
    file = path / LEDGER
    if not file.exists():
        return {}
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return {
            int(number): {name: _figure(row, str(row.get("images", ""))) for name, row in figures.items()}
            for number, figures in document.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file}: expected the figures of rounds, found {error}; remove it and add the reports again"
        ) from error
