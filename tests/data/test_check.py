from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.check import check, in_pieces
from histocerb.data.convert import convert, split_store
from histocerb.data.manifest import write_manifest
from histocerb.data.sources.entry import as_entries
from histocerb.data.splits import SplitParams


def _grave(path: Path) -> list[str]:
    return [f"{finding.where}: {finding.what}" for finding in check(path, workers=2) if finding.grave]


def test_changed_missing_and_leaking_samples_are_named(tmp_path: Path, sample) -> None:
    store = convert(as_entries([sample("a"), sample("b", patient="made-a"), sample("c")]), tmp_path)
    assert _grave(tmp_path) == []
    file = tmp_path / "pixels" / store.records[0].file
    data = bytearray(file.read_bytes())
    data[store.records[1].offset + 5] ^= 1
    file.write_bytes(data)
    assert [text.split(":")[0] for text in _grave(tmp_path)] == ["made/b"]
    data[store.records[1].offset + 5] ^= 1
    file.write_bytes(data)
    write_manifest(tmp_path, [replace(r, split=r.name) for r in store.records], "")
    assert any("made-a is in several splits: a, b" in text for text in _grave(tmp_path))
    file.unlink()
    assert sum("pixels of a store" in text for text in _grave(tmp_path)) == 3


def test_lost_objects(tmp_path: Path, sample) -> None:
    store = convert(as_entries([sample("a")]), tmp_path)
    record = store.records[0]
    label_record = replace(record.labels[0], n_objects=99)
    write_manifest(tmp_path, [replace(record, labels=(label_record,))], "")
    assert any("99 objects" in text for text in _grave(tmp_path))


def test_what_a_person_should_know(tmp_path: Path) -> None:
    ids = np.zeros((60, 60), np.int32)
    ids[2:8, 2:8], ids[20:28, 2:8], ids[40:50, 40:50] = 1, 1, 2
    blank = np.full((60, 60, 3), 255, np.uint8)
    rng = np.random.default_rng(0)
    texture = np.repeat(np.repeat(rng.integers(0, 255, (12, 12, 3)), 5, 0), 5, 1).astype(np.uint8)
    made = [
        Sample(texture, 0.5, {"nuclei": ObjectLabels(ids, {2: "plasma"})}, None, "s", "p1", "pieces"),
        Sample(texture + 1, 0.5, {"nuclei": ObjectLabels(0 * ids)}, None, "t", "p1", "twin"),
        Sample(blank, 0.5, {"gland": ObjectLabels(ids)}, None, "s", "p2", "blank"),
    ]
    convert(as_entries(made), tmp_path)
    (tmp_path / "pixels" / ".part-set").write_bytes(b"begun")
    found = [(f.where, f.what, f.grave) for f in check(tmp_path)]
    assert not any(grave for _, _, grave in found)
    texts = [f"{where} {what}" for where, what, _ in found]
    for words in (
        "s/pieces nuclei: 1 of 2 objects are in several pieces",
        "s/pieces nuclei: 1 of 2 without a class",
        "s/blank its image has no structure",
        "t/twin nuclei: no objects",
        "s/pieces t/twin shows the same image",
        ".part-set a conversion that was not finished",
    ):
        assert any(words in text for text in texts), words


def test_the_same_image_of_two_patients_is_on_one_side(tmp_path: Path, sample) -> None:
    one = sample("a")
    twin = replace(one, patient="somebody-else", source="other")
    others = [sample(f"x{i}") for i in range(8)]
    store = convert(as_entries([one, twin, *others]), tmp_path)
    for params in (SplitParams(), SplitParams(folds=3), SplitParams(folds=4, external=("other",))):
        store = split_store(tmp_path, params)
        splits = {r.who: r.split for r in store.records}
        assert splits["made/a"] == splits["other/a"]
        assert _grave(tmp_path) == []
    apart = [replace(r, split="valid" if r.source == "other" else "train") for r in store.records]
    write_manifest(tmp_path, apart, "")
    assert any("show the same image" in text for text in _grave(tmp_path))


@given(arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
@settings(max_examples=80, deadline=None)
def test_pieces_are_those_of_a_reference(ids: np.ndarray) -> None:
    expected = sum(label(ids == k, connectivity=2).max() > 1 for k in np.unique(ids[ids > 0]))
    assert in_pieces(ids) == expected


def test_a_manifest_that_contradicts_the_bytes(tmp_path: Path, sample) -> None:
    store = convert(as_entries([sample("a"), sample("b")]), tmp_path)
    wide = replace(store.records[0], width=store.records[0].width + 1)
    write_manifest(tmp_path, [wide, store.records[1]], "")
    assert [text.split(":")[0] for text in _grave(tmp_path)] == ["made/a"]
