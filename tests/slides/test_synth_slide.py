import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import UsageError
from histocerb.core.geometry import Region
from histocerb.core.tasks import CERBERUS
from histocerb.slides.synth import TISSUES, SynthConfig, SynthSlide
from histocerb.slides.synth.block import BLOCK_PX, draw_canvas
from histocerb.slides.synth.slide import SynthSource
from histocerb.slides.synth.store import GlandStore

WHOLE = Region(0, 0, 1100, 1100)


@pytest.fixture(scope="module")
def slide():
    return SynthSlide(1100, 1100, seed=5)


@pytest.fixture(scope="module")
def image(slide):
    return slide.read(WHOLE, 0.5)


@pytest.fixture(scope="module")
def truth(slide):
    return slide.truth(WHOLE)


def test_truth_names_follow_the_tasks(truth):
    assert set(truth.objects) == {task.name for task in CERBERUS.objects}
    assert truth.tissue.shape == (7, 7)


@settings(max_examples=6, deadline=None)
@given(
    x=st.integers(-60, 1080), y=st.integers(-60, 1080), width=st.integers(1, 300), height=st.integers(1, 300)
)
def test_any_cut_has_the_same_pixels_and_ids(image, truth, x, y, width, height):
    region = Region(x, y, width, height)
    other = SynthSlide(1100, 1100, seed=5)
    pixels, part = other.read(region, 0.5), other.truth(region)
    inner = region.intersect(WHOLE)
    expected = np.full((height, width, 3), 255, np.uint8)
    expected[inner.slices(region)] = image[inner.slices()]
    np.testing.assert_array_equal(pixels, expected)
    for name, labels in part.objects.items():
        ids = np.zeros((height, width), np.int32)
        ids[inner.slices(region)] = truth.objects[name].ids[inner.slices()]
        np.testing.assert_array_equal(labels.ids, ids)
        whole = truth.objects[name].classes
        assert labels.classes == {k: whole[k] for k in np.unique(ids).tolist() if k in whole}


@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, 1)])
def test_neighbouring_blocks_agree_where_they_overlap(dx, dy):
    """Blocks are drawn with a margin: both must say the same about it, so that no seam can show."""
    recipe = SynthSource(4000, 4000, 8, 0.5, SynthConfig()).recipe
    first, second = (
        draw_canvas(recipe, GlandStore(recipe.scale, recipe.look, recipe.numbering), x, y)
        for x, y in ((1024, 1024), (1024 + dx * BLOCK_PX, 1024 + dy * BLOCK_PX))
    )
    shared = 2 * recipe.margin_px
    head, tail = slice(None, shared), slice(-shared, None)
    left = (tail if dy else slice(None), tail if dx else slice(None))
    right = (head if dy else slice(None), head if dx else slice(None))
    for name in ("stains", "nuclei", "glands", "lumina", "tissue"):
        np.testing.assert_array_equal(getattr(first, name)[left], getattr(second, name)[right], err_msg=name)


def test_lumina_lie_in_glands_and_nuclei_do_not_straddle_them(truth):
    nuclei, glands, lumina = (truth.objects[name].ids for name in ("nuclei", "gland", "lumen"))
    assert lumina.any()
    assert (glands[lumina > 0] > 0).all()
    for lumen in np.unique(lumina[lumina > 0]):
        assert len(np.unique(glands[lumina == lumen])) == 1
    assert truth.objects["lumen"].classes == {}
    inside = np.array([k for k, name in truth.objects["nuclei"].classes.items() if name == "epithelial"])
    assert (glands[np.isin(nuclei, inside)] > 0).mean() > 0.97


def test_every_id_has_a_class(truth):
    for name in ("nuclei", "gland"):
        labels = truth.objects[name]
        assert set(labels.classes) == set(np.unique(labels.ids).tolist()) - {0}
        assert set(labels.classes.values()) <= set(CERBERUS.task(name).classes)


def test_every_class_occurs_in_a_few_small_slides():
    found = {"nuclei": set(), "gland": set(), "tissue": set()}
    for seed in (1, 7):
        truth = SynthSlide(1024, 1024, seed, config=SynthConfig(site_px=420)).truth(Region(0, 0, 1024, 1024))
        found["nuclei"].update(truth.objects["nuclei"].classes.values())
        found["gland"].update(truth.objects["gland"].classes.values())
        found["tissue"].update(TISSUES[k] for k in np.unique(truth.tissue))
    for name, classes in found.items():
        assert classes == set(CERBERUS.task(name).classes), name


def test_tissue_cells_are_majorities_on_the_absolute_grid(slide):
    truth = slide.truth(Region(100, 150, 500, 450))
    assert truth.tissue.shape == (2, 3)
    cell = truth.tissue_map[288 - 150 : 432 - 150, 144 - 100 : 288 - 100]
    assert truth.tissue[0, 0] == np.bincount(cell.ravel()).argmax()


@pytest.mark.parametrize("tissue", ["adipose", "debris"])
def test_emphasis_gives_more_of_a_tissue(tissue):
    chosen = TISSUES.index(tissue)
    config = SynthConfig.emphasise(tissue, share=0.9)
    region = Region(0, 0, 512, 512)
    share = [
        np.mean(SynthSlide(512, 512, k, config=config).truth(region).tissue_map == chosen) for k in (1, 2)
    ]
    assert np.mean(share) > 0.4


def test_a_mixture_must_have_a_weight_per_class():
    with pytest.raises(UsageError, match="weights"):
        SynthConfig(weights=(1.0, 2.0))
    with pytest.raises(UsageError, match="tissue class"):
        SynthConfig.emphasise("bone")


def test_pickle_and_threads(slide, image):
    copy = pickle.loads(pickle.dumps(slide))
    regions = [Region(x, y, 400, 400) for x in (0, 500) for y in (0, 500)]
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda region: copy.read(region, 0.5), regions))
    for region, part in zip(regions, parts, strict=True):
        np.testing.assert_array_equal(part, image[region.slices()])
    assert copy.fingerprint() == slide.fingerprint()


def test_fingerprint_follows_from_everything():
    slides = [
        SynthSlide(100, 100, 1),
        SynthSlide(100, 101, 1),
        SynthSlide(100, 100, 2),
        SynthSlide(100, 100, 1, mpp=0.25),
        SynthSlide(100, 100, 1, config=SynthConfig(clean=True)),
    ]
    assert len({slide.fingerprint() for slide in slides}) == len(slides)


def test_a_finer_scan_shows_the_same_objects():
    coarse, fine = SynthSlide(300, 300, 4), SynthSlide(600, 600, 4, mpp=0.25)
    a = coarse.truth(Region(0, 0, 300, 300)).tissue_map
    b = fine.truth(Region(0, 0, 600, 600)).tissue_map[::2, ::2]
    assert (a == b).mean() > 0.97


@pytest.mark.parametrize(
    "arguments",
    [
        {"width_px": 0, "height_px": 10, "seed": 1},
        {"width_px": 10, "height_px": 10, "seed": -1},
        {"width_px": 10, "height_px": 10, "seed": 1, "mpp": 4.0},
        {"width_px": 900_000, "height_px": 900_000, "seed": 1},
    ],
)
def test_impossible_slides_are_refused(arguments):
    with pytest.raises(UsageError):
        SynthSlide(**arguments)
