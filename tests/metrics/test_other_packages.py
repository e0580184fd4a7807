"""Our figures against those of scikit-learn and torchmetrics, where these are installed."""

import numpy as np
import pytest

from histocerb.metrics.calibration import reliability
from histocerb.metrics.classification import average_precision_per_class, confusion, f1_per_class
from histocerb.metrics.counts import r2_of_counts
from histocerb.metrics.matching import match
from histocerb.metrics.segmentation import dice, mpq_plus, panoptic_quality, panoptic_quality_per_class

CLASSES = ("a", "b", "c", "d")


@pytest.fixture
def sklearn_metrics():
    return pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")


@pytest.fixture
def answers():
    """True codes, probabilities with ties, and the likeliest codes."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, len(CLASSES), 400)
    weight = rng.integers(1, 6, (400, len(CLASSES))).astype(float)
    weight[np.arange(400), truth] += 3
    probabilities = weight / weight.sum(1, keepdims=True)
    return truth, probabilities, probabilities.argmax(1)


def test_confusion_and_f1_equal_scikit_learn(sklearn_metrics, answers):
    truth, _, pred = answers
    counts = confusion(truth, pred, len(CLASSES))
    assert counts.tolist() == sklearn_metrics.confusion_matrix(truth, pred).tolist()
    expected = sklearn_metrics.f1_score(truth, pred, average=None)
    assert f1_per_class(counts, CLASSES).values == pytest.approx(tuple(expected))
    mean = sklearn_metrics.f1_score(truth, pred, average="macro")
    assert f1_per_class(counts, CLASSES).mean == pytest.approx(mean)


def test_average_precision_equals_scikit_learn(sklearn_metrics, answers):
    truth, probabilities, _ = answers
    expected = sklearn_metrics.average_precision_score(
        np.eye(len(CLASSES))[truth], probabilities, average=None
    )
    assert average_precision_per_class(truth, probabilities, CLASSES).values == pytest.approx(tuple(expected))


def test_r2_equals_scikit_learn(sklearn_metrics):
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 50, (30, len(CLASSES)))
    pred = truth + rng.integers(-5, 6, truth.shape)
    found = r2_of_counts(truth, pred, CLASSES)
    assert found.values == pytest.approx(
        tuple(sklearn_metrics.r2_score(truth, pred, multioutput="raw_values"))
    )
    assert found.mean == pytest.approx(sklearn_metrics.r2_score(truth, pred))


def test_dice_equals_scikit_learn(sklearn_metrics, pair):
    truth, pred = (ids > 0 for ids in pair)
    if truth.any() or pred.any():
        assert dice(truth, pred) == pytest.approx(sklearn_metrics.f1_score(truth.ravel(), pred.ravel()))


def test_calibration_error_equals_torchmetrics(answers):
    functional = pytest.importorskip("torchmetrics.functional.classification", reason="needs torchmetrics")
    torch = pytest.importorskip("torch")
    truth, probabilities, _ = answers  # shares of at most 23, none on an edge of 29 bins
    tensors = torch.from_numpy(probabilities), torch.from_numpy(truth)
    found = reliability(probabilities.max(1), probabilities.argmax(1) == truth, 29)
    for value, norm in ((found.ece, "l1"), (found.mce, "max")):
        expected = functional.multiclass_calibration_error(*tensors, len(CLASSES), n_bins=29, norm=norm)
        assert value == pytest.approx(float(expected), abs=1e-6)


def _typed(ids, classes):
    """H x W x 2 of class code and id: 0 for background, 2 for class b, 1 for others."""
    of_b = [i for i, name in classes.items() if name == "b"]
    return np.stack([np.where(np.isin(ids, of_b), 2, np.minimum(ids, 1)), ids], -1)


def test_panoptic_quality_equals_torchmetrics(pair):
    functional = pytest.importorskip("torchmetrics.functional.detection", reason="needs torchmetrics")
    torch = pytest.importorskip("torch")
    truth, pred = pair
    of_truth = {int(i): "ab"[index % 2] for index, i in enumerate(np.unique(truth[truth > 0]))}
    of_pred = {int(i): "a" if i > 1000 else of_truth.get(int(i) // 2, "a") for i in np.unique(pred[pred > 0])}
    overlaps = match(truth, pred)
    typed = mpq_plus([panoptic_quality_per_class(overlaps, of_truth, of_pred, ["a", "b"])])
    untyped = panoptic_quality(overlaps)
    for (t, p), things, ours in (
        ((_typed(truth, of_truth), _typed(pred, of_pred)), {1, 2}, typed.values),
        ((_typed(truth, {}), _typed(pred, {})), {1}, (untyped.pq,)),
    ):
        tensors = (torch.from_numpy(side.astype(np.int64))[None] for side in (p, t))
        expected = functional.panoptic_quality(*tensors, things, {0}, return_per_class=True)
        assert np.nan_to_num(ours) == pytest.approx(expected.numpy().ravel()[: len(things)], abs=1e-6)
