import json

import numpy as np
import pytest

from histocerb.core.instances import InstanceTable
from histocerb.core.outlines import Outlines
from histocerb.core.samples import Marks, ObjectLabels
from histocerb.core.tasks import CERBERUS
from histocerb.metrics.counts import r2_of_counts
from histocerb.metrics.quality import judge, mark_quality, outline_quality, wording
from histocerb.metrics.report import image_figures, task_report
from histocerb.metrics.segmentation import PanopticQuality, mpq_plus
from histocerb.metrics.typed_report import _mean_r2

NUCLEI = CERBERUS.task("nuclei")
WORDS = wording(NUCLEI, [dict(enumerate(NUCLEI.classes))])
CLASSES = len(NUCLEI.classes)


def found_from(ids, names):
    """Rectangles of an id image as found objects; `names` per id."""
    numbers = [int(i) for i in np.unique(ids) if i]
    places = [np.nonzero(ids == i) for i in numbers]
    boxes = np.array([(x.min(), y.min(), x.max() + 1, y.max() + 1) for y, x in places], float).reshape(-1, 4)
    rings = [[[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]] for x0, y0, x1, y1 in boxes]
    codes = [NUCLEI.classes.index(names[i]) for i in numbers]
    table = InstanceTable(
        kind="nucleus",
        classes=NUCLEI.classes,
        class_code=np.array(codes, np.int16),
        class_prob=np.ones(len(boxes), np.float32),
        score=np.linspace(0.9, 0.6, len(boxes), dtype=np.float32),
        centroid=(boxes[:, :2] + boxes[:, 2:]) / 2,
        area_px=(boxes[:, 2:] - boxes[:, :2]).prod(1),
        bbox=boxes,
        first_px=boxes[:, [1, 0]].astype(np.int64),
        outlines=Outlines.from_rings(rings),
    )
    return table, np.eye(CLASSES)[codes].reshape(-1, CLASSES)


def image(truth, found, truth_names=None, found_names=None):
    table, probabilities = found_from(found, found_names or {int(i): "plasma" for i in np.unique(found)})
    return judge(
        outline_quality(ObjectLabels(truth, truth_names or {}), table, probabilities, 0.5),
        NUCLEI,
        WORDS if truth_names else {},
    )


def squares(places):
    ids = np.zeros((40, 60), np.int32)
    for number, (y, x) in places.items():
        ids[y : y + 6, x : x + 6] = number
    return ids


NOTHING = squares({})
THREE = squares({1: (0, 0), 2: (10, 0), 3: (20, 0)})
TYPES = {1: "plasma", 2: "epithelial", 3: "connective"}
TWO_OF_THREE = squares({1: (0, 0), 2: (10, 0), 3: (30, 40)})
WRONG_TYPES = {1: "plasma", 2: "plasma", 3: "connective"}


def typed_images():
    return [image(THREE, TWO_OF_THREE, TYPES, WRONG_TYPES), image(THREE, THREE, TYPES, TYPES)]


def test_figures_of_one_image():
    found = image_figures(typed_images()[0])
    assert (found["objects"], found["found"], found["tp"], found["fp"], found["fn"]) == (3, 3, 2, 1, 1)
    assert found["pq"] == pytest.approx(2 / 3)
    assert found["type_accuracy"] == 0.5
    assert found["mpq"] == pytest.approx((1 / 1.5 + 0 + 0) / 3)
    assert found["detection_f1"] == pytest.approx(2 / 3)


def test_summary_of_two_images_is_json():
    found = json.loads(json.dumps(task_report(typed_images(), "ab"), allow_nan=False))
    assert (found["images"], found["patients"], found["objects"], found["found"]) == (2, 2, 6, 6)
    assert found["pq"]["n"] == 2
    assert found["pq"]["mean"] == pytest.approx((2 / 3 + 1) / 2)
    for name in ("pq", "object_f1", "mpq", "mpq_plus", "object_dice"):
        assert found[name]["low"] <= found[name]["mean"] <= found[name]["high"], name
    assert found["object_f1"]["mean"] == pytest.approx(10 / 12)
    pooled = {"plasma": (2, 1, 0), "epithelial": (1, 0, 1), "connective": (1, 1, 1)}
    expected = {name: PanopticQuality(*counts, float(counts[0])).pq for name, counts in pooled.items()}
    assert {name: found["per_class"][name]["pq_plus"] for name in expected} == pytest.approx(expected)
    assert found["mpq_plus"]["mean"] == pytest.approx(np.mean(list(expected.values())))
    assert found["per_class"]["plasma"] == {
        "objects": 2,
        "found": 3,
        "pq": pytest.approx((1 / 1.5 + 1) / 2),
        "pq_plus": pytest.approx(2 / 2.5),
        "r2": None,
    }
    assert found["types"]["n"] == 5
    assert found["types"]["accuracy"]["mean"] == pytest.approx(4 / 5)
    assert found["types"]["f1"]["epithelial"] == pytest.approx(2 / 3)


def test_a_class_without_truth_has_a_figure_but_no_share_in_the_mean():
    only = dict.fromkeys(TYPES, "plasma")
    found = task_report([image(THREE, THREE, only, {**only, 3: "neutrophil"})], "a")
    assert found["per_class"]["neutrophil"]["pq_plus"] == 0
    assert found["mpq_plus"]["mean"] == pytest.approx(2 / 2.5)


def test_means_equal_the_plain_functions():
    rng = np.random.default_rng(0)
    images = []
    for _ in range(5):
        names = {number: str(rng.choice(NUCLEI.classes)) for number in TYPES}
        images.append(image(THREE, TWO_OF_THREE if rng.random() < 0.5 else THREE, TYPES, names))
    scores = mpq_plus([one.classes for one in images])
    with_truth = [
        value for name, value in zip(scores.classes, scores.values, strict=True) if name in TYPES.values()
    ]
    assert task_report(images, range(5))["mpq_plus"]["mean"] == pytest.approx(np.mean(with_truth))


def test_one_empty_side_is_an_infinite_distance():
    found = task_report(
        [image(THREE, NOTHING), image(NOTHING, THREE), image(THREE, THREE), image(NOTHING, NOTHING)],
        "abcd",
    )
    distance = found["object_hausdorff_um"]
    assert (distance["n"], distance["mean"], distance["infinite"]) == (1, 0, 2)
    assert found["pq"]["n"] == 3
    assert image_figures(image(THREE, NOTHING))["object_hausdorff_um"] is None
    assert image_figures(image(NOTHING, NOTHING))["pq"] is None
    assert "mpq" not in found
    assert "types" not in found


def test_nothing_at_all():
    found = task_report([image(NOTHING, NOTHING)], "a")
    assert found["pq"] == {"n": 0, "mean": None, "sd": None, "low": None, "high": None}
    assert found["object_f1"]["mean"] is None
    assert found["detection"]["froc"]["mean"] is None
    json.dumps(found, allow_nan=False)


def test_counts_per_class():
    more = squares({1: (0, 0), 2: (10, 0), 3: (20, 0), 4: (30, 0)})
    types = {**TYPES, 4: "plasma"}
    images = [image(THREE, THREE, TYPES, TYPES), image(more, more, types, types)]
    found = task_report(images, "ab")
    assert found["per_class"]["plasma"]["r2"] == 1
    assert found["r2"]["mean"] == 1
    worse = [image(THREE, THREE, TYPES, TYPES), image(more, THREE, types, TYPES)]
    assert task_report(worse, "ab")["per_class"]["plasma"]["r2"] == pytest.approx(1 - 1 / 0.5)


def test_objects_of_unknown_class_count_for_no_class():
    """All is found and named rightly; what the truth does not name is neither right nor wrong."""
    more = squares({1: (0, 0), 2: (10, 0), 3: (20, 0), 4: (30, 0)})
    types = {**TYPES, 4: "plasma"}
    partly = image(more, more, {1: "plasma", 2: "epithelial"}, types)
    found = task_report([partly, image(more, more, types, types)], "ab")
    assert found["per_class"]["plasma"] == {"objects": 3, "found": 3, "pq": 1, "pq_plus": 1, "r2": 1}
    assert found["r2"]["mean"] == 1


def test_counts_of_images_without_any_class_are_left_out():
    """Objects without a class do not say how many of a class there are; an image without objects does."""
    table, probabilities = found_from(TWO_OF_THREE, dict.fromkeys(TYPES, "plasma"))
    untyped, empty = (
        judge(outline_quality(ObjectLabels(ids, {}), table, probabilities, 0.5), NUCLEI, WORDS)
        for ids in (THREE, NOTHING)
    )
    only = dict.fromkeys(TYPES, "plasma")
    one_known = image(THREE, TWO_OF_THREE, {1: "plasma"}, {**only, 3: "epithelial"})
    typed = [image(THREE, THREE, only, only), one_known]
    r2 = task_report([*typed, untyped], "abc")["per_class"]["plasma"]["r2"]
    assert r2 == task_report(typed, "ab")["per_class"]["plasma"]["r2"] == 1
    assert task_report([*typed, empty], "abc")["per_class"]["plasma"]["r2"] < 1


def test_places_alone():
    table, probabilities = found_from(THREE, TYPES)
    centres = np.array([[3, 3, 3, 3], [3, 13, 3, 13], [50, 30, 50, 30]], np.float32)
    marks = Marks(centres, ("plasma", "plasma", "connective"))
    words = wording(NUCLEI, [dict(enumerate(marks.classes))])
    one = judge(mark_quality(marks, table, probabilities, 0.5), NUCLEI, words)
    found = json.loads(json.dumps(task_report([one], "a"), allow_nan=False))
    assert "pq" not in found
    assert "mpq" not in found
    detection = found["detection"]
    assert (detection["precision"], detection["recall"]) == pytest.approx((2 / 3, 2 / 3))
    assert detection["sensitivity"]["8"] == pytest.approx(2 / 3)
    assert detection["curve"][0] == [None, 0, 0]
    assert found["types"]["accuracy"]["mean"] == 0.5
    assert set(found["per_class"]["plasma"]) == {"objects", "found", "r2"}


def test_images_of_data_sets_with_other_classes():
    """What one data set cannot name does not count against it."""
    fine = image(THREE, THREE, TYPES, TYPES)
    grouped = {1: "inflammatory", 2: "epithelial", 3: "connective"}
    words = wording(NUCLEI, [grouped])
    table, probabilities = found_from(THREE, TYPES)
    coarse = judge(outline_quality(ObjectLabels(THREE, grouped), table, probabilities, 0.5), NUCLEI, words)
    found = task_report([fine, coarse], "ab")
    assert found["mpq"]["mean"] == found["mpq_plus"]["mean"] == 1
    assert found["types"]["accuracy"]["mean"] == 1
    assert found["types"]["ap"]["plasma"] == found["types"]["ap"]["inflammatory"] == 1
    assert found["per_class"]["plasma"]["objects"] == 1


def test_equal_images_have_intervals_of_one_point():
    """Intervals are computed in another way than the figures: with equal images both must be the same."""
    found = task_report([typed_images()[0]] * 3, "abc")
    for name in ("pq", "object_f1", "object_dice", "object_hausdorff_um", "mpq", "mpq_plus"):
        figure = found[name]
        assert figure["mean"] is not None
        assert (figure["low"], figure["high"]) == pytest.approx((figure["mean"],) * 2), name
    for name in ("accuracy", "mf1", "map"):
        figure = found["types"][name]
        assert (figure["low"], figure["high"]) == pytest.approx((figure["mean"],) * 2), name


def test_images_of_a_patient_are_drawn_together():
    """Three images of each of two patients have the intervals of one image of each."""
    once = task_report(typed_images(), "ab")
    thrice = task_report(typed_images() * 3, "ababab")
    for name in ("pq", "object_f1", "object_dice", "object_hausdorff_um", "mpq", "mpq_plus"):
        for end in ("mean", "low", "high"):
            assert thrice[name][end] == pytest.approx(once[name][end]), name
    for name in ("accuracy", "mf1", "map"):
        assert thrice["types"][name]["low"] == pytest.approx(once["types"][name]["low"]), name
    assert thrice["detection"]["froc"]["n"] == 6
    alone = task_report(typed_images(), "aa")
    figures = [
        alone["pq"],
        alone["object_f1"],
        alone["mpq"],
        alone["types"]["map"],
        alone["detection"]["froc"],
    ]
    assert all(figure["mean"] is not None and figure["low"] is None for figure in figures)


def test_the_interval_of_r2_is_that_of_resampled_counts():
    rng = np.random.default_rng(5)
    truth, found = rng.integers(0, 9, (12, 3)), rng.integers(0, 9, (12, 3))
    knows = rng.random((12, 3)) < 0.7
    weight = rng.integers(0, 4, (6, 12))
    expected = []
    for drawn in weight:
        rows = [np.repeat(np.arange(12), drawn * knows[:, k]) for k in range(3)]
        values = [r2_of_counts(truth[r][:, [k]], found[r][:, [k]], ("",)).mean for k, r in enumerate(rows)]
        expected.append(np.nanmean(values))
    assert _mean_r2(truth, found, knows)(weight) == pytest.approx(expected)
