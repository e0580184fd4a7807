"""Takes the pictures of docs/how-to/view.md: `make screenshots`.

They show the demo, and beside it what is found if the slide is taken for a coarser one. Both are segmented
for them, unless there are such results already: `screenshots.py [DIR OTHER]`.
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


COMPARED = "?x=1150&y=1560&zoom=1.1&compare=changes"
COARSER_MPP = "0.6"


def take(folder, other, out):
    """Take all pictures of a demo."""
    link, stop = start(folder)
    with sync_playwright() as playwright, chromium(playwright, SCREEN) as context:
        browser = Browser(context, link)
        page = browser.page
        page.evaluate("localStorage.setItem('theme', 'dark')")
        browser.open_cohort()
        browser.until("[...document.images].every(one => one.complete && one.naturalWidth)")
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
        link, stop = start(folder, compare=other)
        browser = Browser(context, link)
        browser.open(f"#/slide/synthetic-0{COMPARED}")
        browser.page.wait_for_timeout(1000)
        browser.page.screenshot(path=out / "viewer-compare.jpg", quality=QUALITY)
    stop()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]), Path(sys.argv[2]), IMAGES)
    else:
        with tempfile.TemporaryDirectory() as place:
            demo, coarser = Path(place, "demo"), Path(place, "demo-at-0.6-um")
            command = Path(sys.executable).with_name("histocerb")
            subprocess.run([command, "demo", "--out", demo], check=True)
            slide = demo / "synthetic-0.tif"
            subprocess.run([command, "segment", slide, "--mpp", COARSER_MPP, "--out", coarser], check=True)
            take(demo, coarser, IMAGES)
