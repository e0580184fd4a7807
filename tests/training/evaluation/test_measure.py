from __future__ import annotations

from dataclasses import replace

import pytest

from histocerb.core.errors import UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.data.store import Store
from histocerb.training.evaluation import Choice, measure
from histocerb.training.evaluation.measure import chosen, fingerprint


def test_document_says_what_was_measured(store, perfect):
    document = measure(store, Choice(("valid", "train")), perfect())
    assert document["model"] == {"path": "perfect", "sha256": "p" * 64}
    assert document["data"] == {
        "store": str(store.path),
        "fingerprint": fingerprint(store.records),
        "splits": ["valid", "train"],
        "not_measured": {},
    }
    assert len(document["images"]) == 20
    assert {row["split"] for row in document["images"]} == {"train", "valid"}
    assert document["summary"]["all"]["nuclei"]["pq"]["mean"] == 1
    assert document["summary"]["all"]["tissue"]["accuracy"]["mean"] == 1


def test_at_most_so_many_per_source_and_split(store):
    found = [store.records[i] for i in chosen(store, Choice(("train", "valid"), 1))]
    assert sorted((r.source, r.split) for r in found) == [
        (source, split) for source in ("patches", "squares") for split in ("train", "valid")
    ]
    assert len(chosen(store, Choice(("valid",), 100))) == len(chosen(store, Choice(("valid",))))


def test_a_few_images_are_not_those_of_one_class(store):
    """Names begin with the class, as in folders per class."""
    model = next(record for record in store.records if record.patch_class)
    records = [
        replace(model, name=f"{word}-{n:03}", patch_class=word, split="valid")
        for word in ("adipose", "debris", "muscle", "stroma")
        for n in range(50)
    ]
    one, turned = (Store(store.path, tuple(order)) for order in (records, records[::-1]))
    few, more = ([one.records[i].name for i in chosen(one, Choice(("valid",), n))] for n in (16, 32))
    assert len(few) == 16
    assert len({name.split("-")[0] for name in few}) == 4
    assert set(few) < set(more)
    assert few == sorted(few)
    assert few == sorted(turned.records[i].name for i in chosen(turned, Choice(("valid",), 16)))


def test_a_split_that_is_not_there(store, perfect):
    with pytest.raises(UsageError, match=r"\(train, valid\), found 'fold-1'"):
        measure(store, Choice(("valid", "fold-1")), perfect())
    with pytest.raises(UsageError, match="it is empty"):
        measure(Store(store.path, ()), Choice(("valid",)), perfect())


def test_one_source(store, perfect):
    document = measure(store, Choice(("valid", "train"), sources=("patches",)), perfect())
    assert {row["source"] for row in document["images"]} == {"patches"}
    assert len(document["images"]) == len(store.indices(source="patches"))
    with pytest.raises(UsageError, match=r"source of .* \(patches, squares\), found 'glas'; choose"):
        measure(store, Choice(("valid",), sources=("glas",)), perfect())


def test_a_model_without_the_tasks_of_the_store(store, perfect):
    lumen = replace(perfect(), spec=CERBERUS.only(["lumen.instance"]))
    with pytest.raises(
        UsageError, match=r"task of the model .lumen. in valid, found nuclei, patch class; choose"
    ):
        measure(store, Choice(("valid",)), lumen)


def test_a_model_with_some_of_the_tasks(store, perfect):
    nuclei = replace(perfect(), spec=CERBERUS.only(["nuclei.instance"]))
    document = measure(store, Choice(("train",)), nuclei)
    patches = len(store.indices(splits=["train"], source="patches"))
    assert document["data"]["not_measured"] == {"patch class": patches}
    assert list(document["summary"]["all"]) == ["nuclei"]
    assert "types" not in document["summary"]["all"]["nuclei"]


def test_the_fingerprint_is_that_of_images_labels_and_splits(store):
    records = list(store.records)
    same = fingerprint(records[::-1])
    assert same == fingerprint(records)
    changed = [
        replace(records[0], checksum="0"),
        replace(records[0], split="fold-9"),
        replace(records[0], name="x"),
        replace(records[0], patch_class="debris"),
    ]
    assert len({same, *(fingerprint([one, *records[1:]]) for one in changed)}) == 5
    place = next(i for i, record in enumerate(records) if record.labels)
    labels = tuple(replace(label, vocabulary=("a",)) for label in records[place].labels)
    records[place] = replace(records[place], labels=labels)
    assert fingerprint(records) != same


def test_progress_passes_the_samples_on(store, perfect):
    totals = []

    def progress(samples, total):
        totals.append(total)
        return samples

    document = measure(store, Choice(("valid",)), perfect(), progress=progress)
    assert totals == [len(document["images"])]
