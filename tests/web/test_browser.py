"""The viewer as people use it: in a browser."""

import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from browsing import AXE, CHROMIUM, serious_findings, watched
from drawn import MPP, nuclei
from served import NAME

from histocerb.core.geometry import Region
from histocerb.core.tasks import CERBERUS
from histocerb.slides.reader import open_slide

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine; apt-get install chromium"
)

ALL_OFF = "off=nucleus,gland,lumen"
X, Y = 1000.0, 800.0


@pytest.fixture
def browser(context, link):
    with watched(context, link) as browser:
        yield browser


def view(zoom=1.0, *more):
    return "#/slide/" + NAME + "?" + "&".join([f"x={X}", f"y={Y}", f"zoom={zoom}", *more])


def on_screen(shape, zoom, x, y):
    """Where a point of the slide is on the screen."""
    return shape[1] / 2 + (x - X) * zoom, shape[0] / 2 + (y - Y) * zoom


def nucleus_near(x, y, condition=None):
    """Number of the nucleus nearest to a point, and its object id."""
    places = nuclei().places
    away = np.hypot(places[:, 0] - x, places[:, 1] - y)
    if condition is not None:
        away = np.where(condition, away, np.inf)
    return int(away.argmin())


def first_id(ask):
    return ask.json(f"api/slides/{NAME}/gallery?kind=nucleus&count=1")["rows"][0]["id"]


def test_tiles_are_painted_where_they_belong(browser, slide_file):
    browser.open(view(1.0, ALL_OFF))
    height, width = browser.pixels().shape[:2]
    left, top = 500, 400
    browser.open(f"#/slide/{NAME}?x={left + width / 2}&y={top + height / 2}&zoom=1&{ALL_OFF}")
    got = browser.pixels()
    slide = open_slide(slide_file)
    wanted = slide.read(Region(left, top, width, height), MPP).astype(int)
    slide.close()
    part = np.s_[60 : height - 200, 60 : width - 60]
    shifted = np.abs(got[:, 1:] - wanted[:, :-1])[part].mean()
    assert np.abs(got - wanted)[part].mean() < shifted / 2


@pytest.mark.parametrize("zoom", [0.75, 2.0, 6.0])
def test_outlines_lie_on_their_objects(browser, zoom):
    """Left, right, top and bottom of a nucleus: the middle of its line is at most a pixel off."""
    browser.open(view(zoom, ALL_OFF))
    plain = browser.pixels()
    browser.open(view(zoom, "off=gland,lumen"))
    painted = np.abs(browser.pixels() - plain).sum(axis=2) > 60
    x, y, rx, ry = nuclei().places[nucleus_near(X, Y)]
    cx, cy = on_screen(plain.shape, zoom, x, y)
    row, column = int(cy), int(cx)
    reach = int(zoom * 14)
    across = np.flatnonzero(painted[row, column - reach : column + reach]) + column - reach + 0.5
    down = np.flatnonzero(painted[row - reach : row + reach, column]) + row - reach + 0.5
    for line, centre, radius in ((across, cx, rx * zoom), (down, cy, ry * zoom)):
        assert np.mean(line[line < centre]) == pytest.approx(centre - radius, abs=1)
        assert np.mean(line[line > centre]) == pytest.approx(centre + radius, abs=1)


def drawn_at(browser, numbers, zoom):
    """Whether nuclei are outlined, by their painted share against the same view without."""
    painted = browser.pixels()
    browser.open(view(zoom, ALL_OFF))
    changed = np.abs(painted - browser.pixels()).sum(axis=2) > 60
    found = []
    for number in numbers:
        x, y, *_ = nuclei().places[number]
        column, row = (int(value) for value in on_screen(painted.shape, zoom, x, y))
        found.append(bool(changed[row - 12 : row + 13, column - 16 : column + 17].any()))
    return found


def test_switching_a_class_off_takes_its_outlines_away(browser):
    codes = nuclei().codes
    plasma, other = nucleus_near(X, Y, codes == 3), nucleus_near(X, Y, codes == 2)
    browser.open(view(1.5, "off=gland,lumen"))
    browser.page.get_by_role("button", name="Plasma").click()
    browser.wait()
    assert "nucleus%2Fplasma" in browser.hash()
    assert drawn_at(browser, [plasma, other], 1.5) == [False, True]


def test_the_threshold_takes_uncertain_objects_away(browser):
    probs = nuclei().probs
    sure, unsure = nucleus_near(X, Y, probs > 0.8), nucleus_near(X, Y, probs < 0.5)
    browser.open(view(1.5, "off=gland,lumen"))
    before = browser.page.locator("tfoot td").nth(2).inner_text()
    browser.page.get_by_role("slider", name="Least class probability").fill("0.7")
    browser.wait()
    browser.until(f"document.querySelectorAll('tfoot td')[2].innerText != '{before}'")
    assert drawn_at(browser, [sure, unsure], 1.5) == [True, False]


def test_low_zoom_shows_dots_for_every_class(browser, ask):
    browser.open(f"#/slide/{NAME}?x=1300&y=1050&zoom=0.2")
    assert any("/outlines/nucleus" in url or "/dots/nucleus" in url for url in browser.requests)
    seen = browser.page.locator("tfoot td").nth(2)
    browser.until("document.querySelectorAll('tfoot td')[2].innerText != '…'")
    assert seen.inner_text().replace(",", "") == str(len(nuclei().places))


def test_click_gives_the_object_under_the_pointer(browser, ask):
    browser.open(view(3.0))
    number = nucleus_near(X + 20, Y - 15)
    x, y, *_ = nuclei().places[number]
    browser.click(*on_screen(browser.pixels().shape, 3.0, x, y))
    field = browser.page.get_by_test_id("object-id")
    assert field.inner_text() == str(first_id(ask) + number)
    facts = browser.page.get_by_role("tabpanel").inner_text()
    assert CERBERUS.task("nuclei").classes[nuclei().codes[number]].capitalize() in facts
    assert f"object={first_id(ask) + number}" in browser.hash()


def test_a_deep_link_restores_the_view(browser):
    browser.open(view(1.5, "rotation=30", "fill=1", "tissue=1", "least=0.4", "off=gland"))
    browser.page.keyboard.press("ArrowRight")
    browser.page.wait_for_timeout(900)
    browser.wait()
    kept, pixels = browser.hash(), browser.pixels()
    assert "x=1000.0" not in kept
    browser.open(kept)
    assert np.abs(browser.pixels() - pixels).mean() < 1.5
    browser.page.wait_for_timeout(400)
    before, after = (dict(urllib.parse.parse_qsl(text.split("?")[1])) for text in (kept, browser.hash()))
    for name in before:
        same = float(before[name]) == pytest.approx(float(after[name]), abs=0.2) if name in "xy" else None
        assert same if name in "xy" else before[name] == after[name], name


def test_keyboard(browser):
    browser.open(view(1.0))
    press = browser.page.keyboard.press
    press("?")
    help_ = browser.page.get_by_role("dialog")
    assert "save a picture" in help_.inner_text()
    press("Escape")
    assert help_.count() == 0
    press("t")
    press("x")
    press("1")
    browser.wait()
    assert all(part in browser.hash() for part in ("tissue=1", "fill=1", "off=nucleus"))
    press("n")
    browser.until("location.hash.includes('object=')")
    first = browser.hash()[browser.hash().index("object=") :]
    press("n")
    browser.until(f"location.hash.includes('object=') && !location.hash.endsWith('{first}')")
    press("/")
    assert browser.page.evaluate("document.activeElement.id") == "search"


def test_signs_that_need_a_second_key_are_keys_too(browser):
    browser.open(view(1.0))
    for held in ("{ctrlKey: true, altKey: true}", "{altKey: true}"):
        browser.page.evaluate(f"dispatchEvent(new KeyboardEvent('keydown', {{key: '[', ...{held}}}))")
    browser.until("location.hash.includes('opacity=0.8')")
    browser.page.evaluate("dispatchEvent(new KeyboardEvent('keydown', {key: 'x', altKey: true}))")
    browser.page.keyboard.press("t")
    browser.until("location.hash.includes('tissue=1')")
    assert "fill=1" not in browser.hash()


def test_search_and_gallery_fly_to_objects(browser, ask):
    browser.open(view(1.0))
    number = 700
    x = nuclei().places[number][0]
    for _ in range(2):
        browser.page.get_by_label("Search an object by its id").fill(str(first_id(ask) + number))
        browser.page.keyboard.press("Enter")
        at = "Math.abs(new URLSearchParams(location.hash.split('?')[1]).get('x') - {})"
        browser.until(f"{at.format(x)} < 1")
        browser.page.keyboard.press("0")
        browser.until(f"{at.format(x)} > 100")
    browser.page.get_by_role("tab", name="Gallery").click()
    rows = ask.json(f"api/slides/{NAME}/gallery?kind=nucleus&by=class_prob&count=2")["rows"]
    browser.page.locator(f"button[title$=', object {rows[1]['id']}']").click()
    there = f"Math.abs(new URLSearchParams(location.hash.split('?')[1]).get('y') - {rows[1]['y']}) < 1"
    browser.until(there)
    assert f"object={rows[1]['id']}" in browser.hash()


def test_picture_and_selection_are_taken_away(browser):
    browser.open(view(1.0))
    for name, ending in (("PNG", "png"), ("GeoJSON", "geojson"), ("CSV", "csv")):
        with browser.page.expect_download() as download:
            browser.page.get_by_role("button", name=name, exact=True).click()
        assert download.value.suggested_filename == f"{NAME}.{ending}"
        assert Path(download.value.path()).stat().st_size > 1000


def test_narrow_screens_have_no_navigator_over_the_slide(browser):
    navigator = browser.page.locator(".navigator").first
    browser.open(view(1.0))
    assert navigator.is_visible()
    browser.page.set_viewport_size({"width": 420, "height": 860})
    assert not navigator.is_visible()


def test_cohort_page_filters_and_leads_to_slides(browser):
    browser.open_cohort()
    page = browser.page
    rows = page.locator("table.slides tbody tr")
    assert rows.count() == 3
    assert "empty file" in page.locator("tr.failed").inner_text()
    page.get_by_label("Filter slides").fill("torn")
    assert rows.count() == 1
    page.get_by_label("Filter slides").fill("")
    page.get_by_role("button", name="Status").click()
    assert rows.locator(".state").all_inner_texts() == ["done", "failed", "not begun"]
    page.get_by_role("link", name=NAME).first.click()
    page.wait_for_selector('[data-ready="true"]')
    assert browser.hash().startswith(f"#/slide/{NAME}")
    page.go_back()
    page.wait_for_selector("table.slides")
    browser.until("document.title == 'trial · histocerb'")


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core; npm ci in frontend/ fetches it")
@pytest.mark.parametrize("where", ["cohort", "layers", "object", "gallery", "about", "help"])
def test_accessibility_without_serious_findings(browser, where):
    page = browser.page
    if where == "cohort":
        browser.open_cohort()
    else:
        browser.open(view(1.0, "tissue=1"))
        if where == "help":
            page.keyboard.press("?")
        else:
            page.get_by_role("tab", name=where.capitalize()).click()
        if where == "object":
            page.keyboard.press("n")
            page.get_by_test_id("object-id").wait_for()
    assert serious_findings(page) == []
