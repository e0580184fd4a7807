"""Takes the pictures of docs/how-to/view.md: `make screenshots`.

They show the demo, which is segmented for them unless DIR has a result already: `screenshots.py [DIR]`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from browsing import Browser, chromium
from playwright.sync_api import sync_playwright
from served import start

IMAGES = Path(__file__).parents[2] / "docs/img"
QUALITY = 86
SCREEN = {"width": 1440, "height": 900}
VIEWS = {
    "viewer": "?x=1250&y=1700&zoom=1.4",
    "viewer-tissue": "?x=1250&y=1250&zoom=0.33&tissue=1&veil=0.5",
}


def take(folder, out):
    """Take all pictures of a demo."""
    link, stop = start(folder)
    with sync_playwright() as playwright, chromium(playwright, SCREEN) as context:
        browser = Browser(context, link)
        page = browser.page
        page.evaluate("localStorage.setItem('theme', 'dark')")
        browser.open_cohort()
        page.wait_for_timeout(1500)
        page.screenshot(path=out / "viewer-cohort.jpg", quality=QUALITY)
        for name, query in VIEWS.items():
            browser.open(f"#/slide/synthetic-0{query}")
            page.wait_for_timeout(1000)
            page.screenshot(path=out / f"{name}.jpg", quality=QUALITY)
        browser.open("#/slide/synthetic-0?x=1250&y=1250&zoom=2")
        page.get_by_role("tab", name="Gallery").click()
        page.get_by_role("button", name="object").nth(4).click()
        browser.wait()
        page.wait_for_timeout(2500)
        browser.wait()
        page.screenshot(path=out / "viewer-gallery.jpg", quality=QUALITY)
    stop()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]), IMAGES)
    else:
        with tempfile.TemporaryDirectory() as place:
            subprocess.run([Path(sys.executable).with_name("histocerb"), "demo", "--out", place], check=True)
            take(Path(place), IMAGES)
