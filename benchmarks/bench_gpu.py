"""The engine on a GPU, in one command; says so where there is none.

    python -m benchmarks.bench_gpu [--width PX] [--height PX] [--precision P] [--batch N]

1. The network alone: windows of 1,312 px as `segment` computes them, against windows of 448 px with stride
   144 in eager float32 on the same GPU, for the same area. Target: 25 times faster.
2. A synthetic slide of 28,451 x 56,782 px, all tissue, made as it is read, segmented end to end with the
   network of the paper (random weights): seconds, and how busy the GPU was (`nvidia-smi`, sampled ten times
   a second). Targets: 30 s on one H200, 80 % busy.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from benchmarks.bench_memory import PatternSlide
from benchmarks.released import SETTLING_PX, SIDE_PX, released_size_network, settle_on, window_maps
from histocerb.core.geometry import MARGIN_PX, WINDOW_OUTPUT_PX, Region
from histocerb.core.tasks import CELL_PX
from histocerb.inference.compute import Compute, resolve
from histocerb.inference.manifest import RunningModel
from histocerb.inference.predictor import make_predictor
from histocerb.inference.slide import segment_slide
from histocerb.models.network import Network

WIDTH_PX, HEIGHT_PX = 28_451, 56_782
WINDOWS, SMALL_WINDOWS = 40, 49
TARGET_S, TARGET_BUSY, TARGET_RATIO = 30.0, 0.8, 25.0


class BusyMeter:
    """Samples how busy the first GPU is while the block runs."""

    def __enter__(self) -> BusyMeter:
        self.samples: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def share(self) -> float:
        """Mean over the samples; nan without any."""
        return float(np.mean(self.samples)) / 100 if self.samples else float("nan")

    def _watch(self) -> None:
        query = ["nvidia-smi", "-i", "0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self._ended.wait(0.1):
            answer = subprocess.run(query, capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                self.samples.append(float(answer.stdout))


def whole_slide(network: Network, compute: Compute, width_px: int, height_px: int) -> None:
    """Segment the slide and print what it took."""
    model = RunningModel(
        "random", "0" * 64, network.spec, make_predictor(network, compute), compute.arithmetic, compute.batch
    )
    with tempfile.TemporaryDirectory(prefix="histocerb-gpu-") as place:
        segment_slide(PatternSlide(3000, 3000), model, Path(place) / "warm")
        with BusyMeter() as meter:
            start = time.perf_counter()
            manifest = segment_slide(PatternSlide(width_px, height_px), model, Path(place) / "slide").manifest
            spent = time.perf_counter() - start
    objects = sum(sum(of_kind.values()) for of_kind in manifest.counts.values())
    print(f"{width_px:,} x {height_px:,} px: {spent:.1f} s (target {TARGET_S:.0f}), {objects:,} objects")
    print(
        f"GPU busy {meter.share:.0%} of it (target {TARGET_BUSY:.0%}); seconds per stage {manifest.seconds}"
    )


def network_alone(network: Network, compute: Compute) -> None:
    """Print seconds per million pixels of both ways."""
    side = WINDOW_OUTPUT_PX + 2 * MARGIN_PX
    image = PatternSlide(side, side).read(Region(0, 0, side, side), 0.5)
    torch.backends.cudnn.allow_tf32 = False
    eager = network.to("cuda").to(memory_format=torch.contiguous_format)
    small = np.ascontiguousarray(image[:SIDE_PX, :SIDE_PX])
    window_maps(eager, small, "cuda")
    start = time.perf_counter()
    for _ in range(SMALL_WINDOWS):
        window_maps(eager, small, "cuda")
    theirs = (time.perf_counter() - start) / (SMALL_WINDOWS * CELL_PX**2 / 1e6)
    predictor = make_predictor(network, compute)
    with ThreadPoolExecutor(compute.batch) as threads:
        list(threads.map(lambda _: predictor.predict(image, MARGIN_PX), range(2 * compute.batch)))
        start = time.perf_counter()
        list(threads.map(lambda _: predictor.predict(image, MARGIN_PX), range(WINDOWS)))
        mine = (time.perf_counter() - start) / (WINDOWS * WINDOW_OUTPUT_PX**2 / 1e6)
    print(
        f"network: {1e3 * mine:.1f} ms per Mpx against {1e3 * theirs:.1f}: {theirs / mine:.1f} times faster "
        f"(target {TARGET_RATIO:.0f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--width", type=int, default=WIDTH_PX)
    parser.add_argument("--height", type=int, default=HEIGHT_PX)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batch", default="auto")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU: nothing measured")
        return
    compute = resolve("cuda", chosen.precision, chosen.batch)
    print(f"{torch.cuda.get_device_name(0)}, {compute.precision}, {compute.batch} windows at a time")
    network = released_size_network()
    image = PatternSlide(SETTLING_PX, SETTLING_PX).read(Region(0, 0, SETTLING_PX, SETTLING_PX), 0.5)
    settle_on(network, image)
    network_alone(network, compute)
    whole_slide(network, compute, chosen.width, chosen.height)


if __name__ == "__main__":
    main()
