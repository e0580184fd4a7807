"""Chromium for tests and for the pictures of the documents."""

import io
import shutil
import tempfile
import urllib.parse
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCREEN = {"width": 1200, "height": 800}
TIMEOUT_MS = 90_000
AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(playwright, screen=None, touch=False):
    """A browser with a user folder of its own that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=CHROMIUM,
            headless=True,
            args=list(_FLAGS),
            viewport=screen or SCREEN,
            accept_downloads=True,
            has_touch=touch,
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT_MS)
        try:
            yield context
        finally:
            context.close()


@contextmanager
def watched(context, link):
    """A page that must not complain, nor ask any other machine for anything."""
    browser = Browser(context, link)
    yield browser
    assert browser.errors == []
    asked = {urllib.parse.urlsplit(url) for url in browser.requests}
    outside = [
        url for url in asked if url.scheme not in ("data", "blob", "about") and url.hostname != "127.0.0.1"
    ]
    assert outside == []
    browser.page.close()


def serious_findings(page):
    """What axe finds on a page in both themes."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    serious = []
    for theme in ("dark", "light"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        found = page.evaluate("axe.run(document)")["violations"]
        serious += [one for one in found if one["impact"] in ("serious", "critical")]
    return [(one["id"], one["nodes"][0]["html"][:160]) for one in serious]


class Browser:
    """A page of the viewer, and all that it asked for and complained about."""

    def __init__(self, context, link):
        self.page = context.new_page()
        self.link = link
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: m.type == "error" and self.errors.append(m.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(link)
        self.page.wait_for_selector("table, [data-ready]")

    def open(self, address):
        """Go to a view, and wait until all of it is painted."""
        self.page.goto("about:blank")
        self.page.goto(self.link.split("?")[0] + address)
        self.wait()

    def open_cohort(self):
        """Go to the list of slides."""
        self.page.goto("about:blank")
        self.page.goto(self.link.split("?")[0])
        self.page.wait_for_selector("table.slides")

    def wait(self):
        self.page.wait_for_timeout(250)
        self.page.wait_for_selector('[data-ready="true"]')
        count = "document.querySelectorAll('{}').length"
        self.until(f"{count.format('[data-ready=true]')} == {count.format('.osd')}")

    def until(self, condition):
        """Wait for a condition of the page; its own way of waiting needs what the page's policy forbids."""
        for _ in range(TIMEOUT_MS // 100):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"never true: {condition}")

    @property
    def screen(self):
        return self.page.get_by_test_id("screen")

    def pixels(self, screen="screen"):
        """What a screen of the page looks like, H x W x 3."""
        png = self.page.get_by_test_id(screen).screenshot()
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)

    def place(self):
        """Middle of the screen in level-0 pixels, and screen pixels per level-0 pixel."""
        words = dict(part.split("=") for part in self.hash().split("?")[1].split("&"))
        return tuple(float(words[name]) for name in ("x", "y", "zoom"))

    def hash(self):
        return self.page.evaluate("location.hash")

    def click(self, x, y):
        box = self.screen.bounding_box()
        self.page.mouse.click(box["x"] + x, box["y"] + y)
