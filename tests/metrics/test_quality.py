import numpy as np
import pytest

from histocerb.core.instances import InstanceTable
from histocerb.core.outlines import Outlines
from histocerb.core.samples import Marks, ObjectLabels
from histocerb.core.tasks import CERBERUS
from histocerb.metrics.detection import Outcome
from histocerb.metrics.quality import RADIUS_UM, judge, mark_quality, outline_quality, wording

NUCLEI = CERBERUS.task("nuclei")


def boxes_table(boxes, names, scores=None):
    """Rectangles as found objects."""
    boxes = np.array(boxes, float).reshape(-1, 4)
    rings = [[[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]] for x0, y0, x1, y1 in boxes]
    count = len(boxes)
    return InstanceTable(
        kind="nucleus",
        classes=NUCLEI.classes,
        class_code=np.array([NUCLEI.classes.index(name) for name in names], np.int16),
        class_prob=np.ones(count, np.float32),
        score=np.array(scores if scores is not None else np.linspace(0.9, 0.6, count), np.float32),
        centroid=(boxes[:, :2] + boxes[:, 2:]) / 2,
        area_px=(boxes[:, 2:] - boxes[:, :2]).prod(1),
        bbox=boxes,
        first_px=boxes[:, [1, 0]].astype(np.int64),
        outlines=Outlines.from_rings(rings),
    )


def ids_of(boxes, shape=(40, 60)):
    ids = np.zeros(shape, np.int32)
    for number, (x0, y0, x1, y1) in boxes.items():
        ids[y0:y1, x0:x1] = number
    return ids


TRUTH = ObjectLabels(
    ids_of({5: (0, 0, 6, 6), 9: (20, 0, 26, 6), 12: (40, 20, 46, 26)}), {5: "lymphocyte", 12: "epithelial"}
)
FOUND = boxes_table([(0, 0, 6, 6), (40, 20, 46, 25), (50, 30, 56, 36)], ["plasma", "epithelial", "plasma"])
SURE = np.eye(6)[[3, 1, 3]]


def test_pairs_places_and_distances():
    found = outline_quality(TRUTH, FOUND, SURE, 0.5)
    assert found.pairs == ((5, 0), (12, 1))
    assert found.detections.outcome.tolist() == [Outcome.HIT, Outcome.HIT, Outcome.FALSE_POSITIVE]
    assert found.detections.n_truth == 3
    assert found.outlined is not None
    assert found.outlined.dice == pytest.approx(2 * 66 / (108 + 102))
    assert found.found_classes == {1: "plasma", 2: "epithelial", 3: "plasma"}
    twice = outline_quality(TRUTH, FOUND, SURE, 1.0)
    assert twice.outlined.hausdorff_um.value == pytest.approx(2 * found.outlined.hausdorff_um.value)


def test_a_centre_in_the_box_is_a_hit_without_a_match():
    shifted = boxes_table([(3, 0, 9, 6)], ["plasma"])
    found = outline_quality(ObjectLabels(ids_of({1: (0, 0, 6, 6)})), shifted, np.zeros((1, 0)), 0.5)
    assert found.pairs == ()
    assert found.detections.outcome.tolist() == [Outcome.HIT]


@pytest.mark.parametrize(("distance_um", "hit"), [(0.9 * RADIUS_UM, True), (1.1 * RADIUS_UM, False)])
@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_marked_centres_within_the_radius(distance_um, hit, mpp):
    centre = np.array([[3 + distance_um / mpp, 3, 3 + distance_um / mpp, 3]], np.float32)
    found = mark_quality(Marks(centre, ("plasma",)), FOUND.select([0]), SURE[:1], mpp)
    assert found.pairs == (((0, 0),) if hit else ())
    assert found.outlined is None
    assert found.truth_classes == {0: "plasma"}


def test_marked_boxes_by_overlap_and_unknown_classes():
    marks = Marks(np.array([[0, 0, 6, 6], [20, 20, 23, 23]], np.float32), ("", "plasma"))
    found = mark_quality(marks, FOUND, SURE, 0.5)
    assert found.pairs == ((0, 0),)
    assert found.truth_classes == {1: "plasma"}


def test_a_group_takes_its_classes_in():
    words = wording(NUCLEI, [{1: "epithelial"}, {1: "inflammatory"}])
    assert words["plasma"] == words["lymphocyte"] == "inflammatory"
    assert words["epithelial"] == "epithelial"
    assert wording(NUCLEI, [{}, {}]) == {}
    grouped = ObjectLabels(TRUTH.ids, {5: "inflammatory", 12: "epithelial"})
    probabilities = np.array([[0.1, 0.2, 0.1, 0.3, 0.1, 0.2], [0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]])
    found = judge(outline_quality(grouped, FOUND, probabilities, 0.5), NUCLEI, words)
    assert found.names == ("inflammatory", "epithelial", "connective")
    assert found.probabilities[0] == pytest.approx([0.6, 0.2, 0.2])
    assert found.guesses == [("inflammatory", "inflammatory", 0), ("epithelial", "epithelial", 1)]
    assert {name: (c.tp, c.fp, c.fn) for name, c in found.classes.items()} == {
        "inflammatory": (1, 1, 0),
        "epithelial": (1, 0, 0),
        "connective": (0, 0, 0),
    }


def test_untyped_truth_is_not_judged_by_class():
    found = judge(outline_quality(ObjectLabels(TRUTH.ids), FOUND, SURE, 0.5), NUCLEI, {})
    assert (found.names, found.classes, found.guesses) == ((), {}, [])
