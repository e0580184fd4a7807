"""`histocerb segment` killed at random moments: do the next runs end in the same bytes, and at what cost?

Run as `python -m benchmarks.bench_kills [--kills N] [--model stand-in|default] [--side PX] [--seed S]`. A
small slide is segmented once undisturbed; then N times a process is killed (SIGKILL) at a moment that is
uniform over the time of an undisturbed run, from its start to its end, and the same command is run again.
Every process is a real `histocerb segment`; it only writes down which windows it computes, and with
`stand-in` it has no network.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.bench_memory import PATTERN_PX, pattern
from benchmarks.stand_in import StandInPredictor
from histocerb.core.tasks import CERBERUS
from histocerb.inference.manifest import RunningModel, read_manifest
from histocerb.inference.protocol import HeadMaps, Predictor
from histocerb.inference.tables import OBJECTS_FILE, TISSUE_FILE
from histocerb.slides.synth import SynthSlide
from histocerb.slides.synth.writer import write_tiff

KILLS, SIDE_PX = 100, 6_000
STAND_IN = "stand-in"


class Journal:
    """A predictor that writes a byte for every window."""

    def __init__(self, predictor: Predictor, path: Path) -> None:
        self._predictor, self._path = predictor, path

    @property
    def device(self) -> str:
        """Of the predictor."""
        return self._predictor.device

    def predict(self, image: npt.NDArray[np.uint8], margin_px: int) -> HeadMaps:
        """See `histocerb.inference.protocol.Predictor.predict`."""
        with self._path.open("ab") as file:
            file.write(b".")
        return self._predictor.predict(image, margin_px)

    def probabilities(self, image: npt.NDArray[np.uint8], margin_px: int) -> HeadMaps:
        """See `histocerb.inference.protocol.Predictor.probabilities`."""
        return self._predictor.probabilities(image, margin_px)


@dataclass(frozen=True)
class Trial:
    """A slide, a model, and a folder for one output.

    Attributes:
        slide: its file.
        model: `stand-in` or the name of a model.
        out: of `histocerb segment`.
    """

    slide: Path
    model: str
    out: Path

    def start(self) -> subprocess.Popen[bytes]:
        """A process that segments the slide."""
        words = [sys.executable, "-m", "benchmarks.bench_kills", "--child", self.model, self.slide, self.out]
        return subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @property
    def folder(self) -> Path:
        """Of the result."""
        return self.out / self.slide.stem

    @property
    def computed(self) -> int:
        """Windows that went through the network, over all runs."""
        journal = journal_of(self.out)
        return journal.stat().st_size if journal.exists() else 0

    def results(self) -> list[bytes]:
        """Content of the tables; empty where there is none."""
        paths = [self.folder / name for name in (OBJECTS_FILE, TISSUE_FILE)]
        return [path.read_bytes() if path.exists() else b"" for path in paths]


def journal_of(out: Path) -> Path:
    return out.with_suffix(".windows")


def child(model: str, slide: str, out: str) -> int:
    """`histocerb segment`, with a journal."""
    from histocerb import api
    from histocerb.cli.main import main as histocerb

    load = api.load_model

    def load_model(
        name: str | Path = "default", device: str = "auto", precision: str = "auto", batch: str = "auto"
    ) -> api.Model:
        if model == STAND_IN:
            running = RunningModel(STAND_IN, "0" * 64, CERBERUS, StandInPredictor(CERBERUS))
        else:
            running = load(model, device, precision, batch).running
        counted = Journal(running.predictor, journal_of(Path(out)))
        return api.Model(RunningModel(running.name, running.sha256, running.spec, counted))

    api.load_model = load_model
    resolution = ["--mpp", "0.5"] if model == STAND_IN else []
    return histocerb(["--quiet", "segment", slide, "--out", out, *resolution])


def draw(path: Path, model: str, side_px: int) -> Path:
    """A slide that the model finds something on."""
    if model != STAND_IN:
        write_tiff(SynthSlide(side_px, side_px, 0), path.with_suffix(".tif"))
        return path.with_suffix(".tif")
    repeats = -(-side_px // PATTERN_PX)
    picture = np.tile(pattern(), (repeats, repeats, 1))[:side_px, :side_px]
    Image.fromarray(picture).save(path.with_suffix(".png"), compress_level=1)
    return path.with_suffix(".png")


def measure(kills: int, model: str, side_px: int, seed: int) -> None:
    """Do everything and print it."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="histocerb-kills-") as place:
        slide = draw(Path(place) / "slide", model, side_px)
        for name in ("first", "plain"):  # the first one compiles
            plain = Trial(slide, model, Path(place) / name)
            start = time.monotonic()
            assert plain.start().wait() == 0, "the undisturbed run failed"
            seconds = time.monotonic() - start
        manifest = read_manifest(plain.folder)
        assert manifest is not None
        windows = manifest.windows
        print(f"{windows} windows, {seconds:.1f} s undisturbed, {sum(map(len, plain.results())):,} bytes")
        same = killed = redone = 0
        for number in range(kills):
            trial = Trial(slide, model, Path(place) / f"trial-{number}")
            process, moment = trial.start(), rng.uniform(0, seconds)
            time.sleep(moment)
            process.kill()
            killed += process.wait() != 0
            before = trial.computed
            status = trial.start().wait()
            is_same = status == 0 and trial.results() == plain.results()
            same += is_same
            redone += trial.computed - windows
            print(
                f"killed after {moment:6.2f} s with {before:3d} windows computed: "
                f"{trial.computed - windows} computed again, {'same bytes' if is_same else 'DIFFERENT'}",
                flush=True,
            )
    print(f"{same} of {kills} ended in the same bytes ({killed} were killed before their end)")
    print(f"{redone / (kills * windows):.2%} of the windows were computed again, on average")


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--child"]:
        sys.exit(child(*arguments[1:]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_kills")
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--model", default=STAND_IN, help="stand-in, or the name of a model")
    parser.add_argument("--side", type=int, default=SIDE_PX, help="of the slide in pixels")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    measure(chosen.kills, chosen.model, chosen.side, chosen.seed)


if __name__ == "__main__":
    main(sys.argv[1:])
