"""A folder of tiny pictures, one of which may be damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from histocerb.inference.cohort.plan import Request, make_plan
from histocerb.inference.cohort.run import Outcome, segment_cohort
from histocerb.inference.manifest import RunningModel

SIZES = {"a": 150, "b": 250, "c": 200}


@pytest.fixture
def scans(make_image, tmp_path) -> Path:
    """Pictures a.png, b.png and c.png; b is the largest, a the smallest."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number, (name, side) in enumerate(SIZES.items()):
        Image.fromarray(make_image(side, side, number)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def table(scans) -> Path:
    """A table of the pictures, with resolutions and a column of its own."""
    path = scans.parent / "cohort.csv"
    path.write_text(
        "slide,mpp,grade,patient\nscans/a.png,0.5,1,P1\nscans/b.png,0.25,,P1\nscans/c.png,,3,P2\n"
    )
    return path


@pytest.fixture
def segment(model: RunningModel, tmp_path: Path) -> Callable[..., list[Outcome]]:
    """Plans and segments; by default into `out`."""

    def call(*sources: Path, out: Path = tmp_path / "out", model: RunningModel = model, **options):
        return segment_cohort(make_plan(Request(sources, **{"mpp": 0.5, **options}), out), model, out)

    return call
