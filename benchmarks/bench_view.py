"""The viewer on a slide of a million nuclei: time of a screen, memory, frames a second, two results compared.

Run as `python -m benchmarks.bench_view [OBJECTS]`. The server runs as people run it, in a process of its
own; screens are asked for as the pages ask for them, six requests at once. Frames are counted in Chromium
without a graphics card, where there is one.

Times of pictures begin when the link of a server that has just started is opened in a browser that runs, and
end when the whole slide is on the screen with all its objects: "first meaningful" as coarse as one picture of
the slide and one of the dots, "complete" as fine as it gets.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.bench_export import put_aside
from histocerb.analysis.objects import Scale
from histocerb.analysis.summary import densities
from histocerb.analysis.tissue import TissueCells
from histocerb.core.geometry import WINDOW_OUTPUT_PX, Region
from histocerb.core.tasks import CELL_PX, CERBERUS, WORKING_MPP
from histocerb.inference.manifest import Manifest, Status, write_manifest
from histocerb.inference.tables import write_objects, write_tissue
from histocerb.slides.reader import open_slide
from histocerb.slides.synth import SynthSlide
from histocerb.slides.synth.writer import write_tiff

OBJECTS = 1_000_000
SCREEN = (1400, 900)
SCREENS = 40
AT_ONCE = 6
TEXTURE_PX = 1024
MOVING_S = 4.0
FIRST_LOOKS = 5
SEEN, COMPLETE = '[data-ready="coarse"], [data-ready="true"]', '[data-ready="true"]'
NAME = "million"
_COUNT_FRAMES = """() => {
  const isCounting = "times" in window;
  window.times = [];
  if (isCounting) return;
  const tick = (now) => { times.push(now); requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
}"""


class Wallpaper:
    """A slide that repeats one synthetic field: as costly to show as any, quick to make."""

    vendor, mpp = "wallpaper", WORKING_MPP

    def __init__(self, width_px: int, height_px: int) -> None:
        self.path, self.width_px, self.height_px = "wallpaper", width_px, height_px
        field = SynthSlide(TEXTURE_PX, TEXTURE_PX, 1)
        self._field = field.read(Region(0, 0, TEXTURE_PX, TEXTURE_PX), WORKING_MPP)

    def read(self, region: Region, mpp: float) -> np.ndarray:
        """Pixels of a region."""
        del mpp
        rows = np.arange(region.y, region.bottom) % TEXTURE_PX
        columns = np.arange(region.x, region.right) % TEXTURE_PX
        return self._field[rows[:, None], columns[None, :]]

    def size_at(self, mpp: float) -> tuple[int, int]:
        """Its size."""
        del mpp
        return self.width_px, self.height_px


def tissue_cells(columns: int) -> TissueCells:
    """Cells of random classes under as many windows."""
    assert CERBERUS.patch is not None
    side = columns * WINDOW_OUTPUT_PX // CELL_PX
    shares = np.random.default_rng(0).random((side, side, len(CERBERUS.patch.classes)), np.float32)
    return TissueCells(CERBERUS.patch.classes, shares / shares.sum(axis=2, keepdims=True))


def make_result(out: Path, wanted: int) -> int:
    """Write slide and result below `out`; returns the side of the slide."""
    folder = out / NAME
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        aside = put_aside(Path(place), wanted)
        columns = 1 + max(cell[0] for spill in aside.spills.values() for cell in spill.cells())
        scale = Scale(WORKING_MPP, WORKING_MPP)
        found = replace(aside, scale=scale, cells=tissue_cells(columns))
        counts = write_objects(folder / "objects.parquet", found, lambda rows: None, lambda table: None)
        write_tissue(folder / "tissue.parquet", found)
    side = columns * WINDOW_OUTPUT_PX
    write_tiff(Wallpaper(side, side), out / f"{NAME}.tif")
    slide = open_slide(out / f"{NAME}.tif")
    about = {"path": slide.path, "fingerprint": slide.fingerprint(), "width_px": side, "height_px": side}
    area = (side * WORKING_MPP / 1000) ** 2
    manifest = Manifest(
        status=Status.DONE,
        key="",
        slide={**about, "mpp": slide.mpp, "vendor": slide.vendor},
        model={"name": "none", "sha256": "", "tasks": CERBERUS.name},
        parameters={},
        counts=counts,
        densities_per_mm2=densities(counts, area),
        tissue_area_mm2=area,
    )
    slide.close()
    write_manifest(folder, manifest)
    return side


class Server:
    """`histocerb view` in a process of its own."""

    def __init__(self, out: Path, *options: str) -> None:
        command = [Path(sys.executable).with_name("histocerb"), "view", str(out), "--no-browser", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.link = re.search(r"http\S+", self.process.stdout.readline()).group(0)
        self.base, self.token = self.link.split("/?token=")
        self.cookie = f"histocerb_{self.base.rsplit(':', 1)[1]}={self.token}"

    def get(self, path: str) -> bytes:
        """The bytes of an answer."""
        request = urllib.request.Request(
            f"{self.base}/api/slides/{NAME}{path}", headers={"Cookie": self.cookie}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def end(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait()

    def peak_mb(self) -> float:
        """Most memory that it has held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def measure_screens(server: Server, side: int) -> None:
    """Screens at random places at 1:1, outlines only, none of them asked for before."""
    random = np.random.default_rng(0)
    tile, seconds, largest = 1024, [], 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for left, top in random.uniform(0, side - max(SCREEN), (SCREENS, 2)):
            columns = range(int(left // tile), int((left + SCREEN[0]) // tile) + 1)
            rows = range(int(top // tile), int((top + SCREEN[1]) // tile) + 1)
            paths = [f"/outlines/nucleus/1/{column}_{row}.bin" for row in rows for column in columns]
            begin = time.perf_counter()
            bodies = list(pool.map(server.get, paths))
            seconds.append(time.perf_counter() - begin)
            largest = max(largest, *map(len, bodies))
    worst, middle = 1000 * max(seconds), 1000 * float(np.median(seconds))
    print(f"outlines of a screen          median {middle:4.0f} ms, worst of {SCREENS} {worst:4.0f} ms")
    print(f"largest answer                {largest / 1e6:.2f} MB")


def measure_comparison(out: Path) -> None:
    """The result against a copy of it: every object has a partner to be found."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(out / NAME, Path(place, NAME))
        server = Server(out, "--compare", place)
        try:
            begin = time.perf_counter()
            while json.loads(server.get("/changes"))["stamp"] is None:
                time.sleep(0.2)
            print(f"compared with another result  {time.perf_counter() - begin:.1f} s")
            print(f"memory of the server, peak    {server.peak_mb():.0f} MB")
        finally:
            server.end()


def measure_pages(out: Path, server: Server, side: int) -> None:
    """First picture, and frames a second while the slide is dragged and zoomed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        size = {"width": SCREEN[0] + 372, "height": SCREEN[1]}
        looks = np.array([first_look(browser.new_page(viewport=size), out) for _ in range(FIRST_LOOKS)])
        for what, seconds in zip(("first meaningful picture", "complete picture"), looks.T, strict=True):
            print(f"{what:30}median {np.median(seconds):.1f} s, worst of {len(looks)} {seconds.max():.1f} s")
        page = browser.new_page(viewport=size)
        page.goto(f"{server.link}#/slide/{NAME}")
        page.wait_for_selector(COMPLETE)
        page.goto("about:blank")
        begin = time.perf_counter()
        page.goto(server.base + f"/#/slide/{NAME}?x={side / 2}&y={side / 2}&zoom=1")
        page.wait_for_selector(COMPLETE)
        print(f"1:1, complete                 {time.perf_counter() - begin:.1f} s")
        for what, moves in (("drag", drag), ("zoom", zoom)):
            page.evaluate(_COUNT_FRAMES)
            moves(page)
            times = np.diff(page.evaluate("times"))
            print(f"{what:30}{1000 / times.mean():.0f} frames/s, slowest {times.max():.0f} ms")
        browser.close()


def first_look(page: Page, out: Path) -> tuple[float, float]:
    """Seconds until a server that has just started shows the whole slide: first, and complete."""
    server = Server(out)
    try:
        begin = time.perf_counter()
        page.goto(f"{server.link}#/slide/{NAME}", wait_until="commit")
        page.wait_for_selector(SEEN)
        seen = time.perf_counter() - begin
        page.wait_for_selector(COMPLETE)
        return seen, time.perf_counter() - begin
    finally:
        page.close()
        server.end()


def drag(page: Page) -> None:
    """Pull the slide about for some seconds."""
    mouse = page.mouse
    mouse.move(700, 450)
    mouse.down()
    begin = time.perf_counter()
    while (passed := time.perf_counter() - begin) < MOVING_S:
        mouse.move(700 + 300 * np.sin(2 * passed), 450 + 200 * np.sin(3 * passed))
    mouse.up()


def zoom(page: Page) -> None:
    """Turn the wheel in and out for some seconds."""
    begin = time.perf_counter()
    while (passed := time.perf_counter() - begin) < MOVING_S:
        page.mouse.wheel(0, -100 if passed % 2 < 1 else 100)
        page.wait_for_timeout(80)


def main(arguments: list[str]) -> None:
    """Measure and print."""
    wanted = int(arguments[0]) if arguments else OBJECTS
    with tempfile.TemporaryDirectory() as place:
        side = make_result(Path(place), wanted)
        print(f"{wanted:,} nuclei on {side:,} x {side:,} px", flush=True)
        server = Server(Path(place))
        try:
            begin = time.perf_counter()
            server.get("/counts")  # the index is read
            print(f"opened in                     {time.perf_counter() - begin:.1f} s")
            measure_screens(server, side)
            if shutil.which("chromium"):
                measure_pages(Path(place), server, side)
            print(f"memory of the server, peak    {server.peak_mb():.0f} MB")
        finally:
            server.end()
        measure_comparison(Path(place))


if __name__ == "__main__":
    main(sys.argv[1:])
