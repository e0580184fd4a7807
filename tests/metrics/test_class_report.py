import json

import numpy as np
import pytest
from sklearn import metrics

from histocerb.metrics.class_report import Guesses, class_report

CLASSES = ("a", "b", "c", "unused")


def guesses(n=60, images=12, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    table = rng.dirichlet(np.ones(4), n)
    table[np.arange(n), truth] += 0.4
    table /= table.sum(1, keepdims=True)
    return Guesses(CLASSES, rng.integers(0, images, n), truth, table.argmax(1), table.max(1), table)


def test_equals_scikit_learn():
    found = guesses()
    report = json.loads(json.dumps(class_report(found, range(12)), allow_nan=False))
    assert report["n"] == 60
    assert report["accuracy"]["mean"] == pytest.approx(metrics.accuracy_score(found.truth, found.guess))
    expected = metrics.f1_score(found.truth, found.guess, labels=[0, 1, 2], average="macro")
    assert report["mf1"]["mean"] == pytest.approx(expected)
    precision = [
        metrics.average_precision_score(found.truth == k, found.probabilities[:, k]) for k in range(3)
    ]
    assert list(report["ap"].values()) == pytest.approx(precision)
    assert report["map"]["mean"] == pytest.approx(np.mean(precision))
    assert (
        report["confusion"]["counts"]
        == metrics.confusion_matrix(found.truth, found.guess, labels=range(4)).tolist()
    )
    assert set(report["f1"]) == set(report["calibration"]["ece_per_class"]) == {"a", "b", "c"}


def test_intervals_are_over_patients():
    found = guesses(n=400, images=8)
    alone = Guesses(CLASSES, np.arange(400), found.truth, found.guess, found.confidence, found.probabilities)
    together, apart = class_report(found, range(8))["accuracy"], class_report(alone, range(400))["accuracy"]
    alike = class_report(alone, found.image)["accuracy"]
    assert alike["high"] - alike["low"] > max(one["high"] - one["low"] for one in (together, apart))
    assert (together["n"], apart["n"]) == (8, 400)
    assert together["low"] <= together["mean"] <= together["high"]
    assert apart["mean"] == together["mean"]


def test_calibration_counts_all_and_bins_hold_their_confidence():
    report = class_report(guesses(), range(12))["calibration"]
    assert sum(row["n"] for row in report["bins"]) == 60
    assert all(row["low"] <= row["confidence"] <= row["high"] + 1e-9 for row in report["bins"])
    gaps = [abs(row["accuracy"] - row["confidence"]) * row["n"] for row in report["bins"]]
    assert report["ece"] == pytest.approx(sum(gaps) / 60)


def test_classes_that_a_data_set_cannot_tell():
    """Two of four things are from a set that does not know class b: they say nothing about it."""
    nan = np.nan
    table = np.array([[0.6, 0.4], [0.2, 0.8], [1, nan], [1, nan]])
    codes = np.array([0, 1, 0, 0])
    found = Guesses(("a", "b"), np.arange(4), codes, codes, np.array([0.6, 0.8, 1, 1]), table)
    report = class_report(found, range(4))
    assert report["ap"] == {"a": 1, "b": 1}
    assert report["calibration"]["ece_per_class"]["b"] == pytest.approx((0.4 + 0.2) / 2)
    assert report["accuracy"]["mean"] == 1
