"""Two results of a slide beside each other, in a browser."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from browsing import AXE, CHROMIUM, serious_findings, watched
from drawn import changed_nuclei, nuclei
from PIL import Image
from served import NAME, Client

from histocerb.web.changes import CHANGE_COLOURS

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine; apt-get install chromium"
)

ALL_OFF = "off=nucleus,gland,lumen"
X, Y = 1000.0, 800.0
CHANGED, BEFORE = changed_nuclei()


@pytest.fixture
def browser(context, both_link):
    with watched(context, both_link) as browser:
        yield browser


def view(zoom, *more, compare="changes"):
    return f"#/slide/{NAME}?" + "&".join([f"x={X}", f"y={Y}", f"zoom={zoom}", f"compare={compare}", *more])


def both(browser):
    """Pixels of both screens but their lower parts, where navigator and scale bar are, and their titles."""
    return [browser.pixels(screen)[60:500] for screen in ("screen", "other-screen")]


def drag(browser, screen, by):
    box = browser.page.get_by_test_id(screen).bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = browser.page.mouse
    mouse.move(*middle)
    mouse.down()
    for step in range(1, 9):
        mouse.move(middle[0] + by[0] * step / 8, middle[1] + by[1] * step / 8)
    mouse.up()
    browser.page.mouse.move(5, 5)
    browser.page.wait_for_timeout(1200)
    browser.wait()


@pytest.mark.parametrize("screen", ["screen", "other-screen"])
def test_both_screens_move_as_one(browser, screen):
    browser.open(view(1.0, ALL_OFF))
    before = both(browser)
    assert np.abs(before[0] - before[1]).mean() < 0.5, "the same pixels of the slide at the same place"
    drag(browser, screen, (-120, 80))
    after = both(browser)
    assert np.abs(after[0] - after[1]).mean() < 0.5
    assert np.abs(after[0] - before[0]).mean() > 5
    x, y, zoom = browser.place()
    assert (x - X > 60, Y - y > 40, zoom) == (True, True, 1.0)
    browser.page.get_by_test_id("other-screen" if screen == "screen" else "screen").hover()
    browser.page.mouse.wheel(0, -200)
    browser.page.mouse.move(5, 5)
    browser.page.wait_for_timeout(1200)
    browser.wait()
    closer = both(browser)
    assert np.abs(closer[0] - closer[1]).mean() < 0.5
    assert browser.place()[2] > 1.2


def test_the_navigator_moves_both_screens_whichever_led(browser):
    browser.open(view(1.0, ALL_OFF))
    drag(browser, "other-screen", (-120, 80))
    before = browser.place()
    box = browser.page.locator(".navigator").bounding_box()
    browser.page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.7)
    browser.page.mouse.move(5, 5)
    browser.page.wait_for_timeout(1200)
    browser.wait()
    first, second = both(browser)
    assert browser.place() != before
    assert np.abs(first - second).mean() < 0.5


def colours_around(pixels, zoom, ellipse):
    """The differences whose colours an outline has on a screen."""
    x, y, rx, ry = ellipse
    cx, cy = pixels.shape[1] / 2 + (x - X) * zoom, pixels.shape[0] / 2 + (y - Y) * zoom
    around = pixels[int(cy - zoom * ry * 1.6) : int(cy + zoom * ry * 1.6)]
    around = around[:, int(cx - zoom * rx * 1.4) : int(cx + zoom * rx * 1.4)]
    near = {
        change.value: (np.abs(around - shade).sum(axis=2) < 60).sum()
        for change, shade in CHANGE_COLOURS.items()
        if change != "matched"
    }
    return {change for change, count in near.items() if count > 12}


def nearest(places, numbers):
    away = np.hypot(places[numbers, 0] - X, places[numbers, 1] - Y)
    return places[numbers[away.argmin()]]


def test_lost_new_and_retyped_objects_have_their_colours(browser):
    zoom = 2.0
    browser.open(view(zoom, "off=gland,lumen"))
    first, second = browser.pixels("screen"), browser.pixels("other-screen")
    lost, new = nearest(nuclei().places, BEFORE.lost), nearest(CHANGED.places, BEFORE.new)
    retyped = nearest(nuclei().places, BEFORE.retyped)
    assert (colours_around(first, zoom, lost), colours_around(second, zoom, lost)) == ({"lost"}, set())
    assert (colours_around(first, zoom, new), colours_around(second, zoom, new)) == (set(), {"new"})
    assert (colours_around(first, zoom, retyped), colours_around(second, zoom, retyped)) == (
        {"retyped"},
        {"retyped"},
    )


def test_the_legend_counts_and_switches_changes(browser):
    browser.open(view(2.0, "off=gland,lumen"))
    page = browser.page
    browser.until("document.querySelector('[data-testid=nucleus-new]').innerText != '…'")
    wanted = {"retyped": len(BEFORE.retyped), "lost": len(BEFORE.lost) + len(BEFORE.moved)}
    wanted["new"] = len(BEFORE.moved) + len(BEFORE.new)
    shown = {name: page.get_by_test_id(f"nucleus-{name}").inner_text() for name in wanted}
    assert shown == {name: str(count) for name, count in wanted.items()}
    page.get_by_role("button", name="Lost").first.click()
    browser.wait()
    lost = nearest(nuclei().places, BEFORE.lost)
    assert colours_around(browser.pixels("screen"), 2.0, lost) == set()
    assert "nucleus%2Flost" in browser.hash()


def test_one_walks_through_the_differences(browser):
    browser.open(view(2.0))
    page = browser.page
    page.get_by_role("tab", name="Differences").click()
    page.get_by_label("Change").select_option("retyped")
    page.get_by_label("Sort by").select_option("object_id")
    page.get_by_label("Direction").select_option("false")
    page.locator(".picture").first.wait_for()
    page.get_by_role("tab", name="Object").click()
    seen = []
    for _ in range(2):
        page.keyboard.press("n")
        seen.append(None)
        browser.until(f"document.querySelector('.became .faint')?.innerText == 'difference {len(seen)}'")
        for name, of in (("object", "object-id"), ("other", "other-id")):
            shown = f"document.querySelector('[data-testid={of}]')?.innerText"
            browser.until(f"new URLSearchParams(location.hash.split('?')[1]).get('{name}') == {shown}")
        seen[-1] = page.get_by_test_id("change").inner_text(), browser.hash()
    assert all("Retyped" in text and ", then " in text for text, _ in seen)
    assert seen[0] != seen[1]
    browser.until(f"!location.hash.includes('x={X:.1f}')")
    page.wait_for_timeout(1000)
    browser.wait()
    kept = browser.hash()
    browser.open(kept)
    page.get_by_test_id("other-id").wait_for()
    assert "Retyped" in page.get_by_test_id("change").inner_text()
    assert "compare=changes" in browser.hash()


def test_a_click_selects_the_object_in_both_results(browser):
    browser.open(view(3.0, "off=gland,lumen", compare="classes"))
    matched = np.setdiff1d(
        np.arange(len(nuclei().places)), np.concatenate([BEFORE.lost, BEFORE.retyped, BEFORE.moved])
    )
    x, y, *_ = nearest(nuclei().places, matched)
    box = browser.page.get_by_test_id("other-screen").bounding_box()
    at = box["x"] + box["width"] / 2 + (x + 1 - X) * 3, box["y"] + box["height"] / 2 + (y - Y) * 3
    browser.page.mouse.click(*at)
    browser.page.get_by_test_id("object-id").wait_for()
    browser.page.get_by_test_id("other-id").wait_for()
    assert "Matched" in browser.page.get_by_test_id("change").inner_text()
    assert "other=" in browser.hash()


@pytest.mark.parametrize("compare", ["changes", "classes"])
def test_what_became_of_an_object_is_what_the_server_says(browser, both_link, compare):
    """Of one that a link names, and of one that was chosen while there was one result on the screen."""
    first_id = Client(both_link).json(f"api/slides/{NAME}/gallery?kind=nucleus&count=1")["rows"][0]["id"]
    retyped = f"object={first_id + BEFORE.retyped[0]}"
    page = browser.page
    browser.open(view(2.0, retyped, compare=compare))
    assert page.get_by_test_id("change").inner_text().startswith("Retyped")
    browser.open(view(2.0, retyped, compare=""))
    page.get_by_test_id("object-id").wait_for()
    for _ in range(1 if compare == "classes" else 2):
        page.keyboard.press("c")
        browser.wait()
    assert page.get_by_test_id("change").inner_text().startswith("Retyped")
    page.get_by_test_id("other-id").wait_for()


@pytest.mark.parametrize("compare", ["changes", "classes"])
def test_picture_and_what_became_of_objects_are_taken_away(browser, compare):
    browser.open(
        view(1.0, "off=gland,nucleus/matched" if compare == "changes" else "off=gland", compare=compare)
    )
    page = browser.page
    found = {}
    for name, ending in (
        ("PNG", f"{NAME}.png"),
        ("GeoJSON", f"{NAME}-changes.geojson"),
        ("CSV", f"{NAME}-changes.csv"),
    ):
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).click()
        assert download.value.suggested_filename == ending
        found[name] = Path(download.value.path()).read_bytes()
    width, _ = Image.open(io.BytesIO(found["PNG"])).size
    boxes = [page.get_by_test_id(name).bounding_box() for name in ("screen", "other-screen")]
    assert width == pytest.approx(sum(box["width"] for box in boxes), abs=2)
    words = {line.split(",")[0].strip('"') for line in found["CSV"].decode().splitlines()[1:]}
    wanted = {"retyped", "lost", "new"} | (set() if compare == "changes" else {"matched"})
    assert words == wanted
    names = {one["properties"]["classification"]["name"] for one in json.loads(found["GeoJSON"])["features"]}
    assert {name.split(": ")[0] for name in names} == wanted


def test_keys_change_what_is_compared(browser):
    browser.open(view(1.0, ALL_OFF))
    seen = []
    for _ in range(3):
        browser.page.keyboard.press("c")
        browser.wait()
        seen.append((browser.page.locator(".osd").count(), "compare=" in browser.hash()))
    assert seen == [(1, False), (2, True), (2, True)]


def test_a_link_that_compares_is_explained_where_there_is_one_result(context, link):
    with watched(context, link) as browser:
        browser.open(view(1.0))
        assert "start histocerb view with --compare" in browser.page.get_by_role("alert").inner_text()
        assert browser.page.locator(".osd").count() == 1


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core; npm ci in frontend/ fetches it")
@pytest.mark.parametrize("tab", ["Layers", "Object", "Differences", "About"])
def test_accessibility_without_serious_findings(browser, tab):
    browser.open(view(1.0))
    browser.page.get_by_role("tab", name=tab).click()
    if tab == "Object":
        browser.page.keyboard.press("n")
        browser.page.get_by_test_id("change").wait_for()
    assert serious_findings(browser.page) == []
