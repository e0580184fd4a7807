from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from histocerb.slides.synth.block import BLOCK_PX

sys.path.insert(0, str(Path(__file__).parents[2] / "configs" / "default"))
import sheets

FULL, PARTLY = 8005, 8000
"""Seeds of a square that is all sheet, and of one that is not."""


def test_nuclei_of_a_sheet_are_epithelial_and_darker_than_what_lies_between_them() -> None:
    image, nuclei, sheet = sheets.draw(FULL)
    assert image.shape == (BLOCK_PX, BLOCK_PX, 3)
    assert sheet.all()
    assert set(nuclei.classes.values()) == {"epithelial"}
    assert image[nuclei.ids > 0].mean() < 0.8 * image[nuclei.ids == 0].mean()


def test_a_sheet_hides_what_it_lies_on() -> None:
    _, nuclei, sheet = sheets.draw(PARTLY)
    assert 0.05 < sheet.mean() < 0.95
    inner = np.unique(nuclei.ids[sheet])
    assert {nuclei.classes[int(number)] for number in inner if number} == {"epithelial"}
    assert {"connective"} <= {
        nuclei.classes[int(number)] for number in np.unique(nuclei.ids[~sheet]) if number
    }


def test_every_nucleus_has_a_number_and_a_class() -> None:
    _, nuclei, _ = sheets.draw(PARTLY)
    assert sorted(nuclei.classes) == list(range(1, int(nuclei.ids.max()) + 1))
    assert set(np.unique(nuclei.ids)) == {0, *nuclei.classes}


def test_squares_follow_from_their_seed() -> None:
    first, other = (entry.load() for entry in sheets.squares(2, PARTLY))
    same = sheets.squares(1, PARTLY)[0].load()
    assert np.array_equal(first.image, same.image)
    assert not np.array_equal(first.image, other.image)
    assert set(first.objects) == {"nuclei"}
