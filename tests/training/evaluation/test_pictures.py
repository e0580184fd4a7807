from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from known_maps import PLACES, ids_of, squares
from PIL import Image

from histocerb.metrics.matching import match
from histocerb.training.evaluation.gallery import Gallery
from histocerb.training.evaluation.pictures import INVENTED, MISSED, RIGHT, draw, outcome

TRUTH = ids_of({1: PLACES[0], 2: PLACES[1]})
FOUND = ids_of({7: PLACES[0], 9: PLACES[8]})


def colours(picture):
    packed = np.unique(picture.astype(np.int64) @ (1 << 16, 1 << 8, 1))
    return {(code >> 16, code >> 8 & 255, code & 255) for code in packed.tolist()}


def test_objects_are_sorted_by_what_became_of_them():
    found = outcome(TRUTH, FOUND, match(TRUTH, FOUND))
    assert found.counts == (1, 1, 1)
    assert (np.unique(found.right), np.unique(found.missed), np.unique(found.invented)) == (
        pytest.approx([0, 7]),
        pytest.approx([0, 2]),
        pytest.approx([0, 9]),
    )


@pytest.mark.parametrize("shift", [0, 3, 8, 12])
def test_a_pair_matches_as_in_panoptic_quality(shift):
    moved = np.roll(TRUTH, shift, axis=1)
    is_match = (16 - shift) / (16 + shift) > 0.5
    assert outcome(TRUTH, moved, match(TRUTH, moved)).counts == ((2, 0, 0) if is_match else (0, 2, 2))


@pytest.mark.parametrize("factor", [1, 12])
def test_outlines_have_their_colours_at_their_places(factor):
    """Small images are enlarged, large ones are not."""
    truth, found = (np.kron(ids, np.ones((factor, factor), np.int32)) for ids in (TRUTH, FOUND))
    image = np.full((*truth.shape, 3), 200, np.uint8)
    page = draw(image, outcome(truth, found, match(truth, found)), "a/b: nuclei, PQ 0.5")
    width = (page.shape[1] - 12) // 2
    assert max(page.shape) == page.shape[1]
    assert width % truth.shape[1] == 0
    plain, marked = page[46:-46, :width], page[46:-46, -width:]
    assert colours(plain) == {(200, 200, 200)}
    assert {RIGHT, MISSED, INVENTED} < colours(marked)
    scale = width // truth.shape[1]
    places = ((0, RIGHT), (1, MISSED), (8, INVENTED))
    for place, shade in places:
        row, column = (factor * scale * at for at in PLACES[place])
        side = 16 * factor * scale
        box = marked[row : row + side, column : column + side]
        assert shade in colours(box)
        assert tuple(box[side // 2, side // 2]) == (200, 200, 200)
    assert {RIGHT, MISSED, INVENTED} < colours(page[-46:])


def test_an_image_without_objects():
    nothing = np.zeros((40, 50), np.int32)
    page = draw(
        np.full((40, 50, 3), 90, np.uint8), outcome(nothing, nothing, match(nothing, nothing)), "x" * 500
    )
    assert page.dtype == np.uint8


def watched(gallery, qualities):
    """Images with one nucleus of which the model finds a part that makes up that quality."""
    for number, pq in enumerate(qualities):
        sample = squares(f"i{number}", {1: "plasma"})
        truth = sample.objects["nuclei"].ids
        found = truth.copy()
        found[:, 8 + round(16 * pq) :] = 0
        overlaps = match(truth, found)
        table = SimpleNamespace(label_image=lambda shape, ids=found: ids)
        quality = SimpleNamespace(outlined=SimpleNamespace(overlaps=overlaps))
        gallery.watch(sample, {"nuclei": table}, {"nuclei": quality})


def test_best_and_worst_are_kept():
    gallery = Gallery(2)
    watched(gallery, [0.75, 1, 0.625, 0.875, 0.6875, 0.9375])
    assert [shot.key for shot in gallery.worst("nuclei")] == ["squares/i2", "squares/i4"]
    assert [shot.key for shot in gallery.best("nuclei")] == ["squares/i1", "squares/i5"]
    assert Image.open(io.BytesIO(gallery.best("nuclei")[0].jpeg)).size[0] > 1000


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_no_image_is_among_the_best_and_the_worst(count):
    gallery = Gallery(2)
    watched(gallery, [1, 0.75, 0.625][:count])
    shots = [shot.key for shot in (*gallery.worst("nuclei"), *gallery.best("nuclei"))]
    assert len(shots) == len(set(shots)) == count


def test_no_pictures_and_places_alone():
    gallery = Gallery(0)
    watched(gallery, [1])
    assert gallery.shots == {}
    marks = Gallery(2)
    marks.watch(squares("a", {1: "plasma"}), {}, {"nuclei": SimpleNamespace(outlined=None)})
    assert marks.shots == {}
