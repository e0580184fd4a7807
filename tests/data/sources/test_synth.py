from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from histocerb.core.errors import UsageError
from histocerb.core.samples import Sample
from histocerb.core.tasks import CERBERUS
from histocerb.data.convert import Conversion, convert
from histocerb.data.sources.synth import synth, synth_tissue
from histocerb.data.validate import validate
from histocerb.slides.synth import VERSION


def test_every_head_is_labelled_and_a_seed_gives_the_same(tmp_path: Path) -> None:
    one, two = (entry.load() for entry in synth(2, side_px=300, seed=4))
    assert set(one.objects) == {"nuclei", "gland", "lumen"}
    assert one.image.shape == (300, 300, 3)
    assert one.patient != two.patient
    for found in (one, two):
        validate(found)
        for labels in found.objects.values():
            present = [int(k) for k in np.unique(labels.ids) if k]
            assert present == list(range(1, len(present) + 1))
        nuclei = found.objects["nuclei"]
        assert sorted(nuclei.classes) == [int(k) for k in np.unique(nuclei.ids) if k]
    (again,) = synth(1, side_px=300, seed=5)
    assert again.name == two.name
    assert np.array_equal(again.load().image, two.image)
    with pytest.raises(UsageError):
        synth(0)


def _interrupted(side_px: int):
    """Squares of which the first are written when a conversion of them ends."""
    yield from synth(4, side_px)
    raise KeyboardInterrupt


def test_another_size_is_not_taken_for_the_same(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        convert(_interrupted(80), tmp_path, Conversion("synth"))
    store = convert(synth(1, 64), tmp_path, Conversion("synth"))
    assert store.records[0].width == 64


@pytest.mark.parametrize(("version", "is_drawn"), [(VERSION, False), (VERSION - 1, True)])
def test_squares_of_another_version_are_not_taken_for_the_same(
    version: int, is_drawn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("histocerb.data.sources.synth.VERSION", version)
        with pytest.raises(KeyboardInterrupt):
            convert(_interrupted(64), tmp_path, Conversion("synth"))
    (entry,) = synth(1, 64)
    drawn: list[str] = []

    def load() -> Sample:
        drawn.append(entry.name)
        return entry.load()

    convert([replace(entry, load=load)], tmp_path, Conversion("synth"))
    assert bool(drawn) is is_drawn


def test_tissue_has_every_class(tmp_path: Path) -> None:
    cells = list(synth_tissue(1, seed=3))
    samples = [cell.load() for cell in cells]
    counts = Counter(sample.patch_class for sample in samples)
    assert counts == dict.fromkeys(CERBERUS.task("tissue").classes, 1)
    assert {sample.image.shape for sample in samples} == {(144, 144, 3)}
    assert len(convert(cells, tmp_path)) == 9
