"""The viewer under fingers."""

import pytest
from browsing import CHROMIUM, chromium, watched
from drawn import nuclei
from served import NAME

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine; apt-get install chromium"
)

X, Y, STEPS = 1000.0, 800.0, 10
HELD_MS = 400
"""A finger that rests before it lifts throws nothing."""


@pytest.fixture(scope="module")
def fingers():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, chromium(playwright, touch=True) as context:
        yield context


@pytest.fixture
def browser(fingers, link):
    with watched(fingers, link) as browser:
        browser.open(f"#/slide/{NAME}?x={X}&y={Y}&zoom=1&off=gland,lumen")
        yield browser


def move(browser, *paths):
    """Put a finger at the begin of each path (offsets from the middle of the screen), and go to the ends."""
    box = browser.screen.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = browser.page.context.new_cdp_session(browser.page)

    def at(share):
        return [
            {
                "id": n,
                "x": middle[0] + begin[0] + share * (end[0] - begin[0]),
                "y": middle[1] + begin[1] + share * (end[1] - begin[1]),
            }
            for n, (begin, end) in enumerate(paths)
        ]

    def send(kind, points):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", at(0))
    for step in range(1, STEPS + 1):
        send("touchMove", at(step / STEPS))
        browser.page.wait_for_timeout(30)
    browser.page.wait_for_timeout(HELD_MS)
    send("touchMove", at(1))
    send("touchEnd", [])
    browser.page.wait_for_timeout(1200)
    browser.wait()


def test_one_finger_takes_the_slide_along(browser):
    move(browser, ((0, 0), (-150, 90)))
    x, y, zoom = browser.place()
    assert zoom == 1
    assert (x, y) == (pytest.approx(X + 150, abs=3), pytest.approx(Y - 90, abs=3))


def test_two_fingers_zoom_about_their_middle(browser):
    move(browser, ((-60, 0), (-150, 0)), ((60, 0), (150, 0)))
    x, y, zoom = browser.place()
    assert zoom == pytest.approx(2.5, rel=0.02)
    assert (x, y) == (pytest.approx(X, abs=3), pytest.approx(Y, abs=3))
    assert browser.page.evaluate("visualViewport.scale") == 1, "the slide is zoomed, not the page"
    move(browser, ((0, -150), (0, -60)), ((0, 150), (0, 60)))
    assert browser.place()[2] == pytest.approx(1, rel=0.02)


def test_two_fingers_aside_keep_what_is_under_them(browser):
    """What lies between the fingers stays there: the middle of the screen moves towards it."""
    move(browser, ((140, 100), (110, 100)), ((260, 100), (290, 100)))
    x, y, zoom = browser.place()
    assert zoom == pytest.approx(1.5, rel=0.02)
    assert x + 200 / zoom == pytest.approx(X + 200, abs=3)
    assert y + 100 / zoom == pytest.approx(Y + 100, abs=3)


def test_a_tap_selects_an_object(browser, ask):
    places = nuclei().places
    number = int(((places[:, 0] - X) ** 2 + (places[:, 1] - Y) ** 2).argmin())
    x, y, *_ = places[number]
    box = browser.screen.bounding_box()
    browser.page.touchscreen.tap(box["x"] + box["width"] / 2 + x - X, box["y"] + box["height"] / 2 + y - Y)
    first = ask.json(f"api/slides/{NAME}/gallery?kind=nucleus&count=1")["rows"][0]["id"]
    assert browser.page.get_by_test_id("object-id").inner_text() == str(first + number)
