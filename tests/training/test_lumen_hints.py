from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from histocerb.core.errors import DataError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.sources.entry import Entry

sys.path.insert(0, str(Path(__file__).parents[2] / "configs" / "default"))
from lumen_hints import EPITHELIUM_PX, SMALLEST_PX, lumen_hints, with_lumina

PURPLE, WHITE = (140, 90, 160), (245, 240, 245)
Ids = npt.NDArray[np.int32]


def _disc(shape: tuple[int, int], centre: tuple[int, int], radius: int) -> Ids:
    return np.asarray(cv2.circle(np.zeros(shape, np.uint8), centre, radius, 1, -1), np.int32)


GLANDS = _disc((200, 200), (100, 100), 70)
LUMEN = _disc((200, 200), (110, 100), 18)
GOBLET = _disc((200, 200), (75, 75), 12)


def _image(*bright: Ids) -> npt.NDArray[np.uint8]:
    image = np.full((200, 200, 3), PURPLE, np.uint8)
    for place in bright:
        image[place > 0] = WHITE
    return image


def test_a_bright_place_in_a_gland_is_a_lumen_unless_it_is_a_goblet_cell() -> None:
    found = lumen_hints(_image(LUMEN, GOBLET), GLANDS, GOBLET)
    assert found.max() == 1
    overlap = np.count_nonzero((found > 0) & (LUMEN > 0))
    assert 2 * overlap / (np.count_nonzero(found) + np.count_nonzero(LUMEN)) > 0.9
    assert not found[GOBLET > 0].any()
    assert lumen_hints(_image(LUMEN, GOBLET), GLANDS, GOBLET * 0).max() == 2


def test_cracks_at_the_edge_and_specks_are_none() -> None:
    crack = (GLANDS > 0) & (_disc((200, 200), (100, 100), 70 - EPITHELIUM_PX) == 0)
    speck = _disc((200, 200), (100, 100), 4)
    assert np.count_nonzero(speck) < SMALLEST_PX
    assert not lumen_hints(_image(crack, speck), GLANDS, GLANDS * 0).any()
    outside = _disc((200, 200), (15, 15), 14)
    assert not lumen_hints(_image(outside), GLANDS, GLANDS * 0).any()


def test_a_lumen_that_the_image_cuts_reaches_its_edge() -> None:
    found = lumen_hints(_image(LUMEN)[:, :110], GLANDS[:, :110], GOBLET[:, :110] * 0)
    assert found[100, -1] == 1


def _entry(name: str) -> Entry:
    objects = {"gland": ObjectLabels(GLANDS, {1: "gland"})}
    return Entry(name, (Path(f"{name}.png"),), lambda: Sample(_image(LUMEN), 0.62, objects, name=name))


def test_only_images_with_a_mask_of_goblet_cells_get_lumina(tmp_path: Path) -> None:
    path = tmp_path / "train_2_goblet.png"
    cv2.imwrite(str(path), (GOBLET * 255).astype(np.uint8))
    entry = with_lumina(_entry("train_2"), tmp_path)
    assert entry.files == (Path("train_2.png"), path)
    assert entry.recipe
    sample = entry.load()
    assert sample.objects["lumen"].ids.max() == 1
    assert not sample.objects["lumen"].classes
    assert sample.objects["gland"].ids is GLANDS
    plain = _entry("train_3")
    assert with_lumina(plain, tmp_path) is plain


def test_a_mask_of_another_image_is_an_error(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "train_2_goblet.png"), GOBLET[:50].astype(np.uint8))
    with pytest.raises(DataError, match=r"train_2_goblet\.png"):
        with_lumina(_entry("train_2"), tmp_path).load()
