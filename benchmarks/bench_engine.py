"""The engine without a network: a whole `segment` of a synthetic slide with a stand-in predictor.

    python -m benchmarks.bench_engine [SIDE]

The slide (SIDE pixels square, default 20,000) is all tissue, with about 2,000 nuclei per million pixels,
glands and lumina, and is made as it is read. It runs in a process of its own, after a small slide that
compiles what has to be compiled. Processor time per stage comes from another run, on a slide of 4,000 px.
Targets: 10 Mpx/s on two cores, peak memory below 2 GB.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench_memory import PatternSlide
from benchmarks.stand_in import StandInPredictor
from histocerb.core.memory import peak_memory_mb
from histocerb.core.tasks import CERBERUS
from histocerb.inference import run
from histocerb.inference.manifest import RunningModel
from histocerb.inference.slide import SlideResult, segment_slide

SIDE_PX, PROFILE_PX, WARM_PX = 20_000, 4_000, 1_300
TARGET_MPX_S, TARGET_MB = 10.0, 2000.0


class ProcessorClock:
    """Like `pipeline.StageClock`, in seconds of processor; what other threads do for a stage is not seen."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the processor time of the block to a stage."""
        start = time.thread_time()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.thread_time() - start


def segmented(side_px: int, place: Path) -> SlideResult:
    model = RunningModel("stand-in", "0" * 64, CERBERUS, StandInPredictor(CERBERUS))
    return segment_slide(PatternSlide(side_px, side_px), model, place / str(side_px))


def profile(place: Path) -> None:
    """Print seconds of processor per stage and million pixels."""
    run.__dict__["StageClock"] = ProcessorClock
    start = time.process_time()
    seconds = segmented(PROFILE_PX, place).manifest.seconds
    total = time.process_time() - start
    megapixels = PROFILE_PX**2 / 1e6
    shares = ", ".join(f"{stage} {1e3 * spent / megapixels:.0f}" for stage, spent in seconds.items())
    print(f"processor ms per Mpx on {PROFILE_PX:,} px: {1e3 * total / megapixels:.0f}; of these {shares}")


def measure(side_px: int) -> None:
    """Segment in this process and print what it took."""
    with tempfile.TemporaryDirectory(prefix="histocerb-engine-") as folder:
        place = Path(folder)
        segmented(WARM_PX, place)
        start, processor = time.perf_counter(), time.process_time()
        manifest = segmented(side_px, place).manifest
        spent, processor = time.perf_counter() - start, time.process_time() - processor
        peak_mb, megapixels = peak_memory_mb(), side_px**2 / 1e6
        counts = {kind: sum(of_kind.values()) for kind, of_kind in manifest.counts.items()}
        print(
            f"{side_px:,} px square: {megapixels / spent:.1f} Mpx/s (target {TARGET_MPX_S:.0f}), "
            f"{spent:.1f} s, {processor:.1f} s of processor, "
            f"peak {peak_mb:,.0f} MB (target {TARGET_MB:,.0f}), {counts}",
            flush=True,
        )
        print(f"seconds per stage, summed over threads: {manifest.seconds}", flush=True)
        profile(place / "profile")


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--child"]:
        measure(int(arguments[1]))
        return
    side = arguments[0] if arguments else str(SIDE_PX)
    subprocess.run([sys.executable, "-m", "benchmarks.bench_engine", "--child", side], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
