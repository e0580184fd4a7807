"""The released-size network on 1008 x 1008 px: one 1312 px window against 49 windows of 448 px.

The released way: windows of 448 px with stride 144, of which the central 144 px are kept, in eager PyTorch
(float32, NCHW). Ours: one window through the predictor that `segment --device cpu` takes. Same weights
(seeded), same pixels; the largest difference of probabilities is printed beside the times.

    python -m benchmarks.bench_network [--windows N]

Only N of the 49 small windows are run (default 7, spread over the area); their time is scaled up.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.released import SIDE_PX as SIDE
from benchmarks.released import released_size_network, window_maps
from histocerb.core.geometry import MARGIN_PX, WINDOW_OUTPUT_PX, Region
from histocerb.core.tasks import CELL_PX, CERBERUS, HeadKind
from histocerb.inference.compute import resolve
from histocerb.inference.predictor import make_predictor
from histocerb.slides.synth import SynthSlide

CELLS = WINDOW_OUTPUT_PX // CELL_PX


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=7, help="448 px windows to run, of 49")
    count = min(CELLS**2, max(1, parser.parse_args().windows))
    network = released_size_network()
    side = WINDOW_OUTPUT_PX + 2 * MARGIN_PX
    slide = SynthSlide(side, side, seed=7)
    image = slide.read(Region(0, 0, side, side), slide.mpp)
    places = np.unique(np.linspace(0, CELLS**2 - 1, count).round().astype(int))
    cells = [divmod(int(place), CELLS) for place in places]
    print(f"released way: {len(cells)} windows of {SIDE} px ...", flush=True)
    window_maps(network, image[:SIDE, :SIDE])
    worst, begin = 0.0, time.perf_counter()
    theirs = {}
    for row, column in cells:
        y, x = row * CELL_PX, column * CELL_PX
        theirs[row, column] = window_maps(network, image[y : y + SIDE, x : x + SIDE])
    released_s = (time.perf_counter() - begin) / len(cells) * CELLS**2
    print(f"{released_s:.1f} s for all {CELLS**2}; ours: one window of {side} px ...", flush=True)
    predictor = make_predictor(network, resolve("cpu"))
    ours = predictor.probabilities(image, MARGIN_PX)
    predictor.predict(image, MARGIN_PX)
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        predictor.predict(image, MARGIN_PX)
        times.append(time.perf_counter() - begin)
    for (row, column), maps in theirs.items():
        for head in CERBERUS.heads:
            step = 1 if head.kind is HeadKind.PATCH else CELL_PX
            part = ours[head.name][row * step : (row + 1) * step, column * step : (column + 1) * step]
            worst = max(worst, float(np.abs(part - maps[head.name]).max()))
    print(f"released way: {released_s:.1f} s ({len(cells)} of {CELLS**2} windows of {SIDE} px run)")
    print(f"ours ({predictor.device}): {np.median(times):.2f} s, median of {len(times)}")
    print(f"ratio: {released_s / np.median(times):.1f}; largest difference of probabilities: {worst:.1e}")


if __name__ == "__main__":
    main()
