"""Two models on the same images, figure by figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from histocerb._version import __version__
from histocerb.core.errors import DataError, UsageError
from histocerb.metrics.figures import number
from histocerb.metrics.paired import Paired, holm, paired
from histocerb.training.evaluation.evaluate import ALL

FIGURES = (
    "dice",
    "pq",
    "dq",
    "sq",
    "aji",
    "object_f1",
    "object_dice",
    "object_hausdorff_um",
    "detection_f1",
    "mpq",
    "type_accuracy",
    "right",
)
"""Figures of single images that are compared; the mean of `right` is the accuracy of patches."""

LOWER_IS_BETTER = frozenset({"object_hausdorff_um"})

Document = Mapping[str, Any]


def read_document(path: Path) -> dict[str, Any]:
    """An evaluation document from a file.

    Raises:
        DataError: it cannot be read, or is none.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = {"sha256", "path"} <= set(document["model"]) and "fingerprint" in document["data"]
        if not (known and isinstance(document["images"], list) and isinstance(document["summary"], dict)):
            raise ValueError("other keys")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: expected a report of histocerb evaluate on one model, found {error}; "
            "give the file of its --out"
        ) from error
    return document


def compare(first: Document, second: Document, seed: int = 0) -> dict[str, Any]:
    """Paired differences (second minus first) over the images of two documents of `measure`.

    Args:
        first: of one model.
        second: of another one, on the same images.
        seed: of the bootstrap intervals.

    Returns:
        `histocerb`, `models`, `data`, `images`, `tests`, `only` (tasks of one model alone) and `rows`:
        {source: {task: {figure: row}}}. A row has `n`, `patients`, `left_out`, `first`, `second`,
        `difference`, `low` and `high`; over all sources also `p` (Wilcoxon signed-rank of patients),
        `p_holm`, adjusted for the number of tests, and `rank_sum`, whose sign says whom the test favours.

    Raises:
        UsageError: twice the same model, or other data.
    """
    check_comparable(first, second)
    of_second = {row["id"]: row for row in second["images"]}
    pairs = [(row, of_second[row["id"]]) for row in first["images"] if row["id"] in of_second]
    found = {ALL: _rows(pairs, seed)}
    for source in sorted({row["source"] for row, _ in pairs}):
        found[source] = _rows([pair for pair in pairs if pair[0]["source"] == source], seed)
    tested = [(task, figure) for task, rows in found[ALL].items() for figure in rows]
    adjusted = dict(zip(tested, holm([found[ALL][task][figure].p for task, figure in tested]), strict=True))
    rows: dict[str, Any] = {
        source: {
            task: {figure: _json(one) for figure, one in of_task.items()} for task, of_task in tasks.items()
        }
        for source, tasks in found.items()
    }
    for (task, figure), p_holm in adjusted.items():
        one = found[ALL][task][figure]
        test = {"p": number(one.p), "p_holm": number(p_holm), "rank_sum": number(one.rank_sum)}
        rows[ALL][task][figure] |= test
    has = [{task for row in document["images"] for task in row["tasks"]} for document in (first, second)]
    return {
        "histocerb": __version__,
        "models": [dict(first["model"]), dict(second["model"])],
        "data": dict(first["data"]),
        "images": len(pairs),
        "tests": len(tested),
        "only": [sorted(has[0] - has[1]), sorted(has[1] - has[0])],
        "rows": rows,
    }


def check_comparable(first: Document, second: Document) -> None:
    """Refuse documents of the same model or of other images; `model` and `data` are enough (see `origin`).

    Raises:
        UsageError: they cannot be compared.
    """
    if first["model"]["sha256"] == second["model"]["sha256"]:
        raise UsageError(
            f"expected two models, found the same weights twice (sha256 {first['model']['sha256'][:12]}); "
            "name another model"
        )
    if first["data"]["fingerprint"] != second["data"]["fingerprint"]:
        raise UsageError(
            f"expected two evaluations of the same images, found {first['data']['store']} "
            f"({', '.join(first['data']['splits'])}) and {second['data']['store']} "
            f"({', '.join(second['data']['splits'])}) with other images or labels; evaluate both models anew"
        )


def _rows(pairs: Sequence[tuple[Document, Document]], seed: int) -> dict[str, dict[str, Paired]]:
    tasks = dict.fromkeys(
        task for first, second in pairs for task in first["tasks"] if task in second["tasks"]
    )
    found = {}
    for task in tasks:
        both = [
            (a["tasks"][task], b["tasks"][task], a["patient"] or a["id"])
            for a, b in pairs
            if task in a["tasks"] and task in b["tasks"]
        ]
        patients = [patient for _, _, patient in both]
        figures = [name for name in FIGURES if any(name in a or name in b for a, b, _ in both)]
        found[task] = {
            name: paired(
                [_value(a, name) for a, _, _ in both], [_value(b, name) for _, b, _ in both], patients, seed
            )
            for name in figures
        }
    return found


def _value(row: Document, figure: str) -> float:
    value = row.get(figure)
    return float("nan") if value is None else float(value)


def _json(found: Paired) -> dict[str, Any]:
    values = {
        "first": found.first,
        "second": found.second,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
    }
    counts = {"n": found.n, "patients": found.patients, "left_out": found.left_out}
    return {**counts, **{key: number(value) for key, value in values.items()}}
