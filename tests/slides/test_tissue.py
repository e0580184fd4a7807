"""Tissue is kept, glass, dust and pens are not."""

import cv2
import numpy as np
import pytest

from histocerb.core.geometry import Region
from histocerb.slides.reader import open_slide
from histocerb.slides.tissue import TISSUE_CELL_PX, TissueMask, find_tissue, tissue_mask

MPP = 9.0
PINK, PURPLE, MUCUS = (225, 160, 200), (120, 70, 150), (222, 214, 230)


def glass(tint: tuple[int, int, int] = (243, 242, 244), side: int = 400) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, (side, side, 3))
    return np.clip(noise + tint, 0, 255).astype(np.uint8)


def with_tissue(picture: np.ndarray) -> np.ndarray:
    """A disc of 1.8 mm at the centre: purple specks on pink."""
    rng = np.random.default_rng(1)
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.circle(inside, (200, 200), 100, 1, -1)
    colours = np.where(rng.random((*inside.shape, 1)) < 0.4, PURPLE, PINK)
    return np.where(inside[..., None] > 0, colours, picture).astype(np.uint8)


@pytest.mark.parametrize(
    "tint", [(255, 255, 255), (243, 242, 244), (225, 219, 236), (236, 232, 214), (205, 205, 205)]
)
def test_tissue_on_glass_of_any_tint(tint: tuple[int, int, int]) -> None:
    mask = find_tissue(with_tissue(glass(tint)), MPP)
    assert mask[105:295, 200].all()
    assert mask.mean() < 0.24
    assert not mask[:80].any()


def test_empty_glass() -> None:
    for tint in ((255, 255, 255), (243, 242, 244), (215, 210, 220)):
        assert not find_tissue(glass(tint), MPP).any()


def test_scanner_voids_beside_glass() -> None:
    picture = with_tissue(glass((236, 230, 236)))
    picture[:70] = 255
    picture[330:] = 0
    mask = find_tissue(picture, MPP)
    assert mask[200, 200]
    assert not mask[:80].any()
    assert not mask[340:].any()


def test_pale_mucus_beside_tissue_and_small_holes_are_kept() -> None:
    picture = with_tissue(glass())
    cv2.ellipse(picture, (310, 200), (25, 60), 0, 0, 360, MUCUS, -1)
    cv2.circle(picture, (200, 200), 20, (243, 242, 244), -1)
    mask = find_tissue(picture, MPP)
    assert mask[160:240, 310].all()
    assert mask[200, 200]


def test_fat_is_kept_by_its_membranes() -> None:
    picture = with_tissue(glass())
    for x in range(300, 372, 9):
        picture[150:250, x] = (222, 200, 218)
    for y in range(150, 250, 9):
        picture[y, 300:372] = (222, 200, 218)
    assert find_tissue(picture, MPP)[155:245, 300:368].all()


def test_wide_openings_are_dropped() -> None:
    picture = with_tissue(glass())
    cv2.circle(picture, (200, 200), 60, (243, 242, 244), -1)
    assert not find_tissue(picture, MPP)[180:220, 180:220].any()


def test_dust_is_dropped() -> None:
    picture = with_tissue(glass())
    for n in range(12):
        cv2.circle(picture, (30 * n + 20, 40), 2, (150, 140, 130), -1)
    assert not find_tissue(picture, MPP)[:80].any()


@pytest.mark.parametrize(
    "ink", [(20, 120, 60), (30, 60, 170), (25, 25, 30), (205, 30, 45), (90, 180, 190), (60, 85, 180)]
)
def test_pens_are_dropped(ink: tuple[int, int, int]) -> None:
    picture = with_tissue(glass())
    sharp = picture.copy()
    cv2.polylines(sharp, [np.array([[30, 30], [200, 60], [370, 30], [360, 360]])], False, ink, 12)
    stroke = cv2.GaussianBlur((sharp != picture).any(axis=2).astype(np.float32), (9, 9), 2)[..., None]
    mask = find_tissue((picture * (1 - stroke) + np.array(ink) * stroke).astype(np.uint8), MPP)
    assert mask[105:295, 200].all()
    assert not mask[:90].any()
    assert not mask[:, 330:].any()


def test_crops_are_all_or_nothing() -> None:
    tissue = np.random.default_rng(0).integers(100, 240, (300, 400, 3), dtype=np.uint8)
    mask = tissue_mask(open_slide(tissue, 0.5))
    assert mask.cells.shape == (5, 6)
    assert mask.cells.all()
    assert tissue_mask(open_slide(tissue[:10, :10], 0.5)).cells.all()
    white = np.full((10, 10, 3), 250, np.uint8)
    for empty in (white, np.full((900, 900, 3), 255, np.uint8)):
        mask = tissue_mask(open_slide(empty, 0.5))
        assert not mask.cells.any()
        assert mask.area_mm2 == 0


def test_cells_lie_where_the_tissue_is() -> None:
    picture = np.repeat(np.repeat(with_tissue(glass()), 9, 0), 9, 1)  # 1 um/px
    mask = tissue_mask(open_slide(picture, 1.0))
    assert (mask.mpp, mask.width, mask.height) == (0.5, 7200, 7200)
    centre = 200 * 18
    assert mask.touches(Region(centre, centre, 1, 1))
    assert mask.touches(Region(centre - 1850, centre, 100, 1))
    assert not mask.touches(Region(centre - 2100, centre, 100, 1))
    assert 2.5 < mask.area_mm2 < 3.2


def test_touches_is_exact_at_cell_borders() -> None:
    cells = np.zeros((3, 4), np.bool_)
    cells[1, 2] = True
    side = TISSUE_CELL_PX
    mask = TissueMask(cells, 4 * side - 30, 3 * side, 0.5)
    assert mask.touches(Region(2 * side, side, 1, 1))
    assert mask.touches(Region(3 * side - 1, 2 * side - 1, 50, 50))
    assert not mask.touches(Region(3 * side, side, 10, side))
    assert not mask.touches(Region(2 * side, 2 * side, side, side))
    assert not mask.touches(Region(-500, -500, 400, 400))
    assert not mask.touches(Region(2 * side, side, 0, 5))
    assert mask.touches(Region(-500, -500, 5000, 5000))
    assert mask.area_mm2 == pytest.approx((side * 0.5e-3) ** 2)
    cells[1] = False
    cells[0, 3] = True
    assert mask.area_mm2 == pytest.approx(side * (side - 30) * 0.25e-6)


def test_black_images_do_not_crash() -> None:
    dark = np.zeros((400, 400, 3), np.uint8)
    assert not find_tissue(dark, MPP).any()
    dark[100:300, 100:300] = (0, 0, 180)
    assert find_tissue(dark, MPP).shape == (400, 400)
