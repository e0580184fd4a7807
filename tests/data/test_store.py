import pickle
from pathlib import Path

import numpy as np
import pytest

from histocerb.core.errors import DataError, OutputError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.check import check
from histocerb.data.convert import convert
from histocerb.data.sources.entry import as_entries
from histocerb.data.store import Store


def _tree(path: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(path)): p.read_bytes()
        for p in sorted(path.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }


def test_what_is_written_is_read(tmp_path: Path, sample) -> None:
    whole = sample("w", tasks=("nuclei", "gland", "lumen"))
    patch = sample("p", tasks=(), patch_class="stroma", side=33)
    store = convert(as_entries([whole, patch]), tmp_path / "s")
    for written, index in ((patch, 0), (whole, 1)):
        found = store.sample(index)
        assert np.array_equal(found.image, written.image)
        assert found.objects.keys() == written.objects.keys()
        for task, labels in written.objects.items():
            assert np.array_equal(found.objects[task].ids, labels.ids)
            assert found.objects[task].classes == labels.classes
        assert (found.name, found.source, found.patient, found.patch_class, found.mpp) == (
            (written.name, written.source, written.patient, written.patch_class, 0.5)
        )
    assert not [finding for finding in check(store.path) if finding.grave]
    assert store.indices(task="lumen") == [1]
    assert store.records[1].label("nuclei").n_typed == len(whole.objects["nuclei"].classes)


def test_pixels_are_views_and_the_store_pickles_small(store: Store) -> None:
    assert not store.image(0).flags.owndata
    copy = pickle.loads(pickle.dumps(store))
    assert np.array_equal(copy.image(3), store.image(3))
    assert len(pickle.dumps(store)) < 20_000
    with pytest.raises(KeyError, match="lumen"):
        store.ids(store.indices(source="glands")[0], "lumen")


def test_large_ids_survive(tmp_path: Path, sample) -> None:
    one = sample("big")
    ids = one.objects["nuclei"].ids.copy()
    ids[0, :5] = 70_001
    big = Sample(
        one.image, 0.5, {"nuclei": ObjectLabels(ids, {70_001: "plasma"})}, source="s", patient="p", name="n"
    )
    store = convert(as_entries([big]), tmp_path)
    assert store.ids(0, "nuclei").dtype == np.int32
    assert np.array_equal(store.ids(0, "nuclei"), ids)
    assert store.classes(0, "nuclei") == {70_001: "plasma"}


def test_converting_again_gives_the_same_bytes(tmp_path: Path, sample) -> None:
    first, second = [sample("a"), sample("b")], [sample("c", source="other")]
    for out, order in ((tmp_path / "x", (first, second)), (tmp_path / "y", (second, first, first))):
        for samples in order:
            convert(as_entries(samples), out)
    assert _tree(tmp_path / "x") == _tree(tmp_path / "y")


def test_a_source_is_replaced_and_its_old_pixels_removed(tmp_path: Path, sample) -> None:
    convert(as_entries([sample("a"), sample("b")]), tmp_path)
    convert(as_entries([sample("z", source="other")]), tmp_path)
    store = convert(as_entries([sample("c")]), tmp_path)
    assert [(r.source, r.name) for r in store.records] == [("made", "c"), ("other", "z")]
    assert len(list((tmp_path / "pixels").iterdir())) == 2
    assert not [finding for finding in check(tmp_path) if finding.grave]


def test_a_failing_source_leaves_the_store_as_it_was(tmp_path: Path, sample) -> None:
    convert(as_entries([sample("a")]), tmp_path)
    before = _tree(tmp_path)

    def broken():
        yield sample("b")
        raise DataError("half a download")

    with pytest.raises(DataError, match="half"):
        convert(as_entries(broken()), tmp_path)
    assert _tree(tmp_path) == before


def _with(one: Sample, **labels: ObjectLabels) -> Sample:
    return Sample(one.image, 0.5, labels, source="s", patient="p", name="n")


def test_contradictions_are_refused(tmp_path: Path, sample) -> None:
    one = sample("a")
    ids = one.objects["nuclei"].ids
    bad = {
        "classes": _with(one, nuclei=ObjectLabels(ids, {int(ids.max()): "tooth"})),
        "no": _with(one, nuclei=ObjectLabels(ids, {9999: "plasma"})),
        "tasks": _with(one, teeth=ObjectLabels(ids)),
        "pixels": _with(one, nuclei=ObjectLabels(ids[:-1])),
        "0 to": _with(one, nuclei=ObjectLabels(-ids)),
        "label": Sample(one.image, 0.5, source="s", patient="p", name="n"),
        "expected one of": sample("p", patch_class="tooth", tasks=()),
        "patient": Sample(one.image, 0.5, one.objects, source="s", name="n"),
    }
    for words, broken in bad.items():
        with pytest.raises(DataError, match=words):
            convert(as_entries([broken]), tmp_path)
    with pytest.raises(DataError, match="twice"):
        convert(as_entries([one, one]), tmp_path)
    with pytest.raises(DataError, match="no sample"):
        convert(as_entries([]), tmp_path)
    assert not _tree(tmp_path)


def test_a_place_that_cannot_be_written(tmp_path: Path, sample) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="folder"):
        convert(as_entries([sample("a")]), tmp_path / "file")


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="manifest"):
        Store(tmp_path)
    (tmp_path / "manifest.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="manifest"):
        Store(tmp_path)
