"""What is said about the classes of found objects: mPQ, mPQ+, R2 of counts, and how well pairs are named."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from histocerb.metrics.class_report import Guesses, class_report
from histocerb.metrics.counts import count_table, r2_of_counts
from histocerb.metrics.figures import Json, per_class, summary
from histocerb.metrics.interval import Patients, defined_mean, ratio, summarise_together
from histocerb.metrics.matching import Float, Int
from histocerb.metrics.quality import Judged
from histocerb.metrics.segmentation import (
    ClassScores,
    PanopticQuality,
    mean_of_defined,
    mpq,
    mpq_plus,
)

_NO_COUNTS = PanopticQuality(0, 0, 0, 0.0)


def typed_report(images: Sequence[Judged], patients: Patients, seed: int) -> Json:
    """Figures over images, {} where no data set types its objects.

    `mpq`, `mpq_plus`, `r2`, `per_class` (objects, found, pq, pq_plus and r2) and `types` (of pairs).
    Means are over classes that the truth has; intervals over patients, one per image.
    """
    names = tuple(dict.fromkeys(name for image in images for name in image.names))
    if not names:
        return {}
    truth, found = (
        count_table(classes, names)
        for classes in ([i.truth_classes for i in images], [i.counted_classes for i in images])
    )
    columns = {
        "objects": dict(zip(names, truth.sum(0).tolist(), strict=True)),
        "found": dict(zip(names, found.sum(0).tolist(), strict=True)),
    }
    result: Json = {}
    places = [place for place, image in enumerate(images) if image.classes]
    typed = [images[place].classes for place in places]
    if typed:
        result |= _quality(typed, [patients[place] for place in places], seed)
        columns |= {"pq": per_class(mpq(typed)), "pq_plus": per_class(mpq_plus(typed))}
    knows = np.array([[image.has_counts and name in image.names for name in names] for image in images])
    own_r2 = [
        r2_of_counts(truth[knows[:, k]][:, [k]], found[knows[:, k]][:, [k]], (name,)).values[0]
        for k, name in enumerate(names)
    ]
    r2 = ClassScores(names, tuple(own_r2))
    columns["r2"] = per_class(r2)
    together = summarise_together(r2.mean, patients, _mean_r2(truth, found, knows), seed)
    result["r2"] = summary(together)
    result["per_class"] = {name: {key: values.get(name) for key, values in columns.items()} for name in names}
    guesses = _guesses(images, names)
    return {**result, "types": class_report(guesses, patients, seed)} if len(guesses.truth) else result


def _quality(images: Sequence[dict[str, PanopticQuality]], patients: Patients, seed: int) -> Json:
    names = mpq(images).classes
    counts = [[image.get(name, _NO_COUNTS) for name in names] for image in images]
    rows = np.array([[(c.tp, c.fp, c.fn, c.iou_sum) for c in row] for row in counts])
    is_there = rows[:, :, 0] + rows[:, :, 2] > 0
    own = np.array([[c.pq for c in row] for row in counts])
    own[~is_there] = 0

    present = is_there.any(axis=0)

    def mean_quality(weight: Int) -> Float:
        return defined_mean(ratio(weight @ own, weight @ is_there))

    def pooled_quality(weight: Int) -> Float:
        tp, fp, fn, iou = np.moveaxis(np.tensordot(weight, rows, 1), 2, 0)
        return defined_mean(ratio(iou, tp + (fp + fn) / 2)[:, present])

    plus = mpq_plus(images)
    plus_mean = mean_of_defined([value for value, known in zip(plus.values, present, strict=True) if known])
    return {
        "mpq": summary(summarise_together(mpq(images).mean, patients, mean_quality, seed)),
        "mpq_plus": summary(summarise_together(plus_mean, patients, pooled_quality, seed)),
    }


def _mean_r2(truth: Int, found: Int, knows: npt.NDArray[np.bool_]) -> Callable[[Int], Float]:
    """Mean R2 over classes from how often each image is there; images count for the classes they know."""
    tables = [(one * knows).astype(np.float64) for one in (1, truth, truth**2, (truth - found) ** 2)]

    def mean_r2(weight: Int) -> Float:
        n, total, squares, missed = (weight @ table for table in tables)
        # n times the spread is a whole number, so that 0 is exactly 0
        return defined_mean(1 - ratio(n * missed, n * squares - total**2))

    return mean_r2


def _guesses(images: Sequence[Judged], names: tuple[str, ...]) -> Guesses:
    """All pairs with a class on both sides."""
    code = {name: index for index, name in enumerate(names)}
    owner: list[int] = []
    codes: list[tuple[int, int]] = []
    confidence: list[Float] = [np.zeros(0)]
    tables: list[Float] = [np.zeros((0, len(names)))]
    for place, image in enumerate(images):
        guesses = image.guesses
        owner += [place] * len(guesses)
        codes += [(code[truth], code[guess]) for truth, guess, _ in guesses]
        rows = np.array([row for _, _, row in guesses], np.int64)
        confidence.append(image.quality.class_prob[rows])
        table = np.full((len(guesses), len(names)), np.nan)
        if image.names:
            table[:, [code[name] for name in image.names]] = image.probabilities[rows]
        tables.append(table)
    pairs = np.array(codes, np.int64).reshape(-1, 2)
    return Guesses(
        names,
        np.array(owner, np.int64),
        pairs[:, 0],
        pairs[:, 1],
        np.concatenate(confidence),
        np.concatenate(tables),
    )
