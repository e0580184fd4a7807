from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CELL_PX
from histocerb.data.sources.entry import Entry

sys.path.insert(0, str(Path(__file__).parents[2] / "configs" / "default"))
from tissue_hints import PER_IMAGE, hints, tissue_hints

WHITE, PINK, NUCLEUS = (245, 243, 246), (230, 150, 190), (70, 40, 120)
SIDE = 40


def _image(nuclear: float) -> npt.NDArray[np.uint8]:
    """Left half pink with that share of nuclei, right half white; a nucleus and pink in the lowest rows."""
    rng = np.random.default_rng(0)
    image = np.full((120, 240, 3), PINK, np.uint8)
    image[rng.random((120, 240)) < nuclear] = NUCLEUS
    image[:, 120:] = WHITE
    return image


def _classes(
    image: npt.NDArray[np.uint8], gland: npt.NDArray[np.bool_], *, malignant: bool = False
) -> set[str]:
    return {name for name, _, _ in hints(image, gland, SIDE, malignant=malignant)}


NO_GLAND = np.zeros((120, 240), bool)


@pytest.mark.parametrize(
    ("nuclear", "expected"),
    [(0.05, {"background", "stroma"}), (0.3, {"background"}), (0.6, {"background", "inflammatory"})],
)
def test_cells_without_glands_go_by_their_nuclei(nuclear: float, expected: set[str]) -> None:
    assert _classes(_image(nuclear), NO_GLAND) == expected


@pytest.mark.parametrize(
    ("malignant", "expected"), [(True, "abnormal-epithelium"), (False, "normal-epithelium")]
)
def test_cells_in_glands_go_by_the_grade_of_the_image(malignant: bool, expected: str) -> None:
    gland = NO_GLAND.copy()
    gland[:, :120] = True
    assert _classes(_image(0.3), gland, malignant=malignant) == {"background", expected}


def test_cells_at_the_edge_of_anything_get_no_hint() -> None:
    gland = NO_GLAND.copy()
    gland[:, :60] = True
    for name, top, left in hints(_image(0.05), gland, SIDE, malignant=False):
        cell = np.s_[top : top + SIDE, left : left + SIDE]
        assert gland[cell].mean() in ((0,) if name in ("background", "stroma") else (1,))
        assert name != "background" or left >= 120


def test_an_image_gives_a_few_cells_of_a_class(tmp_path: Path) -> None:
    table = tmp_path / "Grade.csv"
    table.write_text("name, patient ID, grade (GlaS)\ntrain_1, 7, benign\n")
    gland = np.ones((1000, 1000), np.int32)
    image = np.full((1000, 1000, 3), PINK, np.uint8)
    image[::4, ::4] = NUCLEUS
    whole = Sample(
        image, 0.62, {"gland": ObjectLabels(gland)}, source="glas", patient="glas-7", name="train_1"
    )
    entries = list(tissue_hints([Entry("train_1", (table,), lambda: whole)], table))
    assert 1 < len(entries) <= PER_IMAGE
    assert len({entry.name for entry in entries}) == len(entries)
    for entry in entries:
        cell = entry.load()
        assert (cell.name, cell.patch_class, cell.patient) == (entry.name, "normal-epithelium", "glas-7")
        assert round(cell.image.shape[0] * cell.mpp / 0.5) == CELL_PX
        top, left = map(int, entry.name.split("-")[1:])
        assert np.array_equal(
            cell.image, image[top : top + cell.image.shape[0], left : left + cell.image.shape[1]]
        )
