"""Chromium for tests and for the pictures of the documents."""

import io
import shutil
import tempfile
from contextlib import contextmanager

import numpy as np
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCREEN = {"width": 1200, "height": 800}
TIMEOUT_MS = 90_000
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
def chromium(playwright, screen=None):
    """A browser with a user folder of its own that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=CHROMIUM,
            headless=True,
            args=list(_FLAGS),
            viewport=screen or SCREEN,
            accept_downloads=True,
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT_MS)
        try:
            yield context
        finally:
            context.close()


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

    def pixels(self):
        """What the slide's part of the page looks like, H x W x 3."""
        png = self.screen.screenshot()
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)

    def hash(self):
        return self.page.evaluate("location.hash")

    def click(self, x, y):
        box = self.screen.bounding_box()
        self.page.mouse.click(box["x"] + x, box["y"] + y)
