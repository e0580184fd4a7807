"""Head maps over the slide: at their place at every zoom, averaged where coarse, offered only where kept."""

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from browsing import AXE, CHROMIUM, serious_findings, watched
from PIL import Image
from served import NAME, Client, start

from histocerb.core.tasks import CERBERUS
from histocerb.inference.manifest import RunningModel
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.slide import segment_slide
from histocerb.slides.reader import open_slide

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.stand_in import StandInPredictor

WIDTH, HEIGHT, MPP = 2418, 1702, 0.25
BOXES = [(602, 404, 1026, 1006), (1500, 222, 1634, 300), (2000, 1300, 2418, 1702)]
"""Left, top, right, bottom of what the stand-in takes for nuclei; even, and not on any coarse grid."""
SLIDE = "mapped"
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


def inside():
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    for left, top, right, bottom in BOXES:
        mask[top:bottom, left:right] = 255
    return mask


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A result whose maps were kept, of a slide with twice the working resolution."""
    out = tmp_path_factory.mktemp("mapped")
    pixels = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    pixels[..., 0] -= inside().astype(np.uint8)
    Image.fromarray(pixels).save(out / f"{SLIDE}.png")
    model = RunningModel("stand-in", "0" * 64, CERBERUS, StandInPredictor(CERBERUS))
    slide = open_slide(out / f"{SLIDE}.png", MPP)
    segment_slide(slide, model, out / SLIDE, WorkSettings(keep_maps=True))
    slide.close()
    return out


@pytest.fixture(scope="module")
def mapped_link(mapped):
    link, stop = start(mapped)
    yield link
    stop()


@pytest.fixture(scope="module")
def ask_mapped(mapped_link):
    return Client(mapped_link)


def picture(answer):
    assert answer.status == 200, answer.body
    return np.asarray(Image.open(io.BytesIO(answer.body)).convert("RGBA"))


def joined(ask, level, head="nuclei.instance", channel="inside"):
    """All tiles of a level as one picture."""
    rows, columns = (-(-side // (512 << level)) for side in (HEIGHT, WIDTH))
    path = f"api/slides/{SLIDE}/maps/{head}/{channel}/{level}"
    tiles = [[picture(ask(f"{path}/{x}_{y}.webp")) for x in range(columns)] for y in range(rows)]
    return np.concatenate([np.concatenate(line, axis=1) for line in tiles])


def means(values, step):
    """Means of blocks; what lies outside of the slide does not count."""
    pad = [(0, -side % step) for side in values.shape]
    padded = np.pad(values, pad, constant_values=np.nan)
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return np.nanmean(blocks, axis=(1, 3))


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_tiles_lie_on_the_slide_and_coarse_ones_are_means(ask_mapped, level):
    """From half a pixel of the map per pixel of the tile to four, which come from the coarser maps."""
    alpha = joined(ask_mapped, level)[..., 3].astype(int)
    wanted = means(inside(), 2**level)
    height, width = wanted.shape
    assert not alpha[height:].any()
    assert not alpha[:, width:].any()
    assert np.abs(alpha[:height, :width] - wanted).max() <= 1


def test_channels_have_their_colours(ask_mapped):
    left, top, right, bottom = BOXES[0]
    y, x = (top + bottom) // 2, (left + right) // 2
    maps = {one["head"]: one for one in ask_mapped.json(f"api/slides/{SLIDE}")["maps"]}
    assert list(maps) == [head.name for head in CERBERUS.heads]
    shade = maps["nuclei.instance"]["channels"][0]["colour"]
    for channel in ("inside", "all"):
        pixel = joined(ask_mapped, 0, channel=channel)[y, x].tolist()
        assert "#{:02x}{:02x}{:02x}".format(*pixel[:3]) == shade
    assert joined(ask_mapped, 0, channel="contour")[y, x, 3] == 0


def test_classes_of_pixels_and_cells(ask_mapped):
    """White is the last class for the stand-in; cells share all of a pixel between their channels."""
    names = [one["name"] for one in ask_mapped.json(f"api/slides/{SLIDE}")["maps"][1]["channels"]]
    assert names == list(CERBERUS.task("nuclei").classes)
    for level in (1, 4):
        assert joined(ask_mapped, level, "nuclei.type", names[-1])[5, 5, 3] == 255
        assert joined(ask_mapped, level, "nuclei.type", names[0])[5, 5, 3] == 0
    cells = [joined(ask_mapped, 3, "tissue.patch", name)[..., 3] for name in CERBERUS.patch.classes[1:]]
    together = joined(ask_mapped, 3, "tissue.patch", "all")[..., 3].astype(int)
    assert np.abs(np.sum(cells, axis=0, dtype=int) - together).max() <= len(cells)
    assert together.max() > 150


@pytest.mark.parametrize(
    "path",
    ["nuclei.instance/background", "nuclei.instance/..", "cell/all", "..%2f..%2fsecret/all", "coarse/all"],
)
def test_other_names_lead_to_nothing(ask_mapped, path):
    assert ask_mapped(f"api/slides/{SLIDE}/maps/{path}/0/0_0.webp").status == 404


def test_without_maps_there_is_no_layer(ask):
    assert ask.json(f"api/slides/{NAME}")["maps"] == []
    answer = ask(f"api/slides/{NAME}/maps/nuclei.instance/all/0/0_0.webp")
    assert (answer.status, b"expected a head" in answer.body) == (404, True)


def test_links_out_of_the_result_are_not_followed(mapped, tmp_path):
    out = tmp_path / "copy"
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(mapped, out)
    shutil.copytree(out / SLIDE / "maps.zarr/gland.instance", elsewhere)
    shutil.rmtree(out / SLIDE / "maps.zarr/gland.instance")
    (out / SLIDE / "maps.zarr/gland.instance").symlink_to(elsewhere)
    chunk = out / SLIDE / "maps.zarr/nuclei.instance/0.0.0"
    chunk.rename(tmp_path / "chunk")
    chunk.symlink_to(tmp_path / "chunk")
    link, stop = start(out)
    for head in ("gland.instance", "nuclei.instance"):
        answer = Client(link)(f"api/slides/{SLIDE}/maps/{head}/all/0/0_0.webp")
        assert answer.status == 500
        assert json.loads(answer.body)["error"].startswith(("expected", SLIDE))
    stop()


@pytest.fixture
def browser(context, mapped_link):
    with watched(context, mapped_link) as browser:
        yield browser


def view(zoom, *more, x=814.0, y=705.0):
    off = "off=nucleus,gland,lumen"
    return f"#/slide/{SLIDE}?" + "&".join([f"x={x}", f"y={y}", f"zoom={zoom}", off, *more])


@needs_browser
@pytest.mark.parametrize("zoom", [0.25, 1.0, 3.0])
def test_the_map_lies_on_the_slide_in_the_browser(browser, zoom):
    """The lower right corner of a box: the painted part ends where the slide's does, to one pixel."""
    _, _, right, bottom = BOXES[0]
    browser.open(view(zoom, x=right, y=bottom))
    plain = browser.pixels()
    browser.open(view(zoom, "map=nuclei.instance/inside", x=right, y=bottom))
    change = np.abs(browser.pixels() - plain).sum(axis=2)
    painted = change > change.max() / 2  # browsers smooth borders when they magnify
    height, width = painted.shape
    row, column = height // 2, width // 2
    assert painted[row - 30, : column - 3][-20:].all()
    for line, middle in ((painted[row - 30], column), (painted[:, column - 30], row)):
        last = np.flatnonzero(line[: middle + 40])[-1]
        assert last + 1 == pytest.approx(middle, abs=1)


@needs_browser
def test_head_and_channel_are_chosen_and_kept_in_the_address(browser):
    browser.open(view(0.5))
    page = browser.page
    page.get_by_role("button", name="Show a head map").click()
    browser.wait()
    assert "map=nuclei.instance%2Fall" in browser.hash()
    page.get_by_label("Head", exact=True).select_option("gland.instance")
    page.get_by_label("Channel", exact=True).select_option("contour")
    page.get_by_role("slider", name="Map opacity").fill("0.3")
    browser.wait()
    kept = browser.hash()
    assert "map=gland.instance%2Fcontour" in kept
    browser.open(kept)
    assert page.get_by_label("Channel", exact=True).input_value() == "contour"
    assert any("/maps/gland.instance/contour/" in url for url in browser.requests)
    page.keyboard.press("m")
    browser.wait()
    assert "map=" not in browser.hash()


@needs_browser
def test_it_is_not_offered_where_there_are_none(context, link):
    with watched(context, link) as browser:
        browser.open(f"#/slide/{NAME}?map=nuclei.instance/all")
        assert browser.page.get_by_role("button", name="Show a head map").count() == 0
        assert not any("/maps/" in url for url in browser.requests)


@needs_browser
@pytest.mark.skipif(not AXE.exists(), reason="no axe-core; npm ci in frontend/ fetches it")
def test_accessibility_without_serious_findings(browser):
    browser.open(view(0.5, "map=tissue.patch/all"))
    assert serious_findings(browser.page) == []
