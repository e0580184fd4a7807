"""Everything that is said about found objects, per image and over images; undefined figures are None."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from histocerb.metrics.detection import FALSE_PER_IMAGE, Detections, detection_counts, froc, froc_interval
from histocerb.metrics.figures import Json, number, summary
from histocerb.metrics.interval import (
    Patients,
    Summary,
    defined_mean,
    ratio,
    summarise,
    summarise_together,
)
from histocerb.metrics.matching import Float, Int
from histocerb.metrics.objects import DetectionCounts, ObjectScore, object_dice, object_f1
from histocerb.metrics.quality import Judged, Outlined
from histocerb.metrics.segmentation import aji, mpq, panoptic_quality
from histocerb.metrics.typed_report import typed_report

_RESAMPLES = 200
"""Resamples for FROC, whose curve is drawn anew for each of them."""

_CURVE_POINTS = 100
"""A FROC curve in a report has about so many points."""


def image_figures(image: Judged) -> Json:
    """Figures of one image and task."""
    found: Json = {"objects": image.quality.detections.n_truth, "found": len(image.quality.detections.score)}
    outlined = image.quality.outlined
    if outlined is not None:
        found |= _outline_figures(outlined)
    found["detection_f1"] = number(detection_counts([image.quality.detections], -np.inf).f1)
    if image.classes:
        found["mpq"] = number(mpq([image.classes]).mean)
    guesses = image.guesses
    if guesses:
        found["type_accuracy"] = float(np.mean([truth == guess for truth, guess, _ in guesses]))
    return found


def _outline_figures(outlined: Outlined) -> Json:
    counts = panoptic_quality(outlined.overlaps)
    values = {
        "dice": outlined.dice,
        "pq": counts.pq,
        "dq": counts.dq,
        "sq": counts.sq,
        "aji": aji(outlined.overlaps),
        "object_f1": object_f1(outlined.overlaps).f1,
        "object_dice": object_dice(outlined.overlaps).value,
        "object_hausdorff_um": outlined.hausdorff_um.value,
    }
    return {
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        **{key: number(value) for key, value in values.items()},
    }


def task_report(images: Sequence[Judged], patients: Patients, seed: int = 0) -> Json:
    """Summary of a task over images.

    Dice, PQ, DQ, SQ and AJI are means over images. F1, object Dice and object Hausdorff are pooled over
    images, as the GlaS challenge does, mPQ+ and FROC by definition. Intervals are over patients, one per
    image.
    """
    detections = [image.quality.detections for image in images]
    result: Json = {
        "images": len(images),
        "patients": len(set(patients)),
        "objects": sum(one.n_truth for one in detections),
        "found": sum(len(one.score) for one in detections),
    }
    outlined = [
        (image.quality.outlined, patient)
        for image, patient in zip(images, patients, strict=True)
        if image.quality.outlined is not None
    ]
    if outlined:
        result |= _outline_report([one for one, _ in outlined], [patient for _, patient in outlined], seed)
    detection = _detection_report(detections, patients, seed)
    return {**result, **typed_report(images, patients, seed), "detection": detection}


def _outline_report(images: Sequence[Outlined], patients: Patients, seed: int) -> Json:
    panoptic = [panoptic_quality(image.overlaps) for image in images]
    f1 = [object_f1(image.overlaps) for image in images]
    f1_rows = np.array([(one.tp, one.fp, one.fn) for one in f1], np.float64)

    def pooled_f1(weight: Int) -> Float:
        tp, fp, fn = (weight @ f1_rows).T
        return ratio(2 * tp, 2 * tp + fp + fn)

    all_f1 = sum(f1, DetectionCounts(0, 0, 0)).f1
    hausdorff = [image.hausdorff_um for image in images]
    is_finite = [bool(np.isfinite(score.value)) for score in hausdorff]
    finite = [score for score, has_value in zip(hausdorff, is_finite, strict=True) if has_value]
    of_finite = [patient for patient, has_value in zip(patients, is_finite, strict=True) if has_value]
    return {
        "dice": summary(summarise([image.dice for image in images], patients, seed)),
        "pq": summary(summarise([one.pq for one in panoptic], patients, seed)),
        "dq": summary(summarise([one.dq for one in panoptic], patients, seed)),
        "sq": summary(summarise([one.sq for one in panoptic], patients, seed)),
        "aji": summary(summarise([aji(image.overlaps) for image in images], patients, seed)),
        "object_f1": summary(summarise_together(all_f1, patients, pooled_f1, seed)),
        "object_dice": _pooled_score([object_dice(image.overlaps) for image in images], patients, seed),
        "object_hausdorff_um": {
            **_pooled_score(finite, of_finite, seed),
            "infinite": int(sum(np.isinf(score.value) for score in hausdorff)),
        },
    }


def _pooled_score(scores: Sequence[ObjectScore], patients: Patients, seed: int) -> Json:
    rows = np.array([(s.truth_sum, s.truth_area, s.pred_sum, s.pred_area) for s in scores]).reshape(-1, 4)

    def pooled(weight: Int) -> Float:
        sums = weight @ rows
        return defined_mean(ratio(sums[:, ::2], sums[:, 1::2]))

    value = sum(scores, ObjectScore(0.0, 0, 0.0, 0)).value
    return summary(summarise_together(value, patients, pooled, seed))


def _detection_report(found: Sequence[Detections], patients: Patients, seed: int) -> Json:
    curve, counts = froc(found), detection_counts(found, -np.inf)
    low, high = froc_interval(found, patients, seed, resamples=_RESAMPLES)
    every = max(1, -(-len(curve.threshold) // _CURVE_POINTS))
    kept = sorted({*range(0, len(curve.threshold), every), len(curve.threshold) - 1})
    return {
        "froc": summary(Summary(len(found), curve.score, float("nan"), low, high)),
        "sensitivity": {f"{x:g}": number(curve.at(x)) for x in FALSE_PER_IMAGE},
        "precision": number(counts.precision),
        "recall": number(counts.recall),
        "f1": number(counts.f1),
        "curve": [
            [number(curve.threshold[k]), number(curve.false_per_image[k]), number(curve.sensitivity[k])]
            for k in kept
        ],
    }
