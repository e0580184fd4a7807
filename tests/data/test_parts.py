from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS
from histocerb.data.batches import Batch, BatchDataset, CropParams
from histocerb.data.convert import convert
from histocerb.data.sampler import SamplerParams, TaskSampler
from histocerb.data.sources.entry import as_entries
from histocerb.data.store import Store


@pytest.fixture(scope="module")
def mixed_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Some samples with nuclei, some of them typed, some with glands too, some to classify."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(12):
        ids = np.zeros((64, 64), np.int32)
        ids[8:40, 8:40] = 1
        objects = {"nuclei": ObjectLabels(ids, {1: "epithelial"} if number % 2 else {})}
        if number % 3 == 0:
            objects["gland"] = ObjectLabels(ids)
        image = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
        name = f"s{number}"
        samples.append(Sample(image, 0.5, objects, source="mixed", patient=name, name=name))
    for number in range(4):
        image, name = rng.integers(0, 255, (144, 144, 3)).astype(np.uint8), f"p{number}"
        patch = Sample(image, 0.5, patch_class="stroma", source="patches", patient=name, name=name)
        samples.append(patch)
    return convert(as_entries(samples), tmp_path_factory.mktemp("parts"))


def _dataset(store: Store, part: tuple[int, int], *, all_labels: bool) -> BatchDataset:
    sampler = TaskSampler(store, None, SamplerParams(batch_size=5))
    return BatchDataset(store, sampler, 0, CropParams(crop_px=48, all_labels=all_labels), CERBERUS, part)


def _rows(batch: Batch) -> list[bytes]:
    """Every sample with its targets, as bytes."""
    return [
        b"".join(
            [
                batch.images[row].numpy().tobytes(),
                *(
                    name.encode() + target.values[row].numpy().tobytes()
                    for name, target in sorted(batch.targets.items())
                    if row in target.rows.tolist()
                ),
            ]
        )
        for row in range(len(batch.images))
    ]


@pytest.mark.parametrize("all_labels", [False, True])
@pytest.mark.parametrize("parts", [2, 3])
def test_parts_are_the_whole_batch(mixed_store: Store, parts: int, all_labels: bool) -> None:
    for step in range(8):
        whole = _rows(_dataset(mixed_store, (0, 1), all_labels=all_labels)[step])
        for part in range(parts):
            shared = _dataset(mixed_store, (part, parts), all_labels=all_labels)[step]
            assert _rows(shared) == whole[part::parts]


@pytest.mark.parametrize("all_labels", [False, True])
def test_every_part_knows_how_much_the_others_have(mixed_store: Store, all_labels: bool) -> None:
    seen = set()
    for step in range(12):
        batches = [_dataset(mixed_store, (part, 3), all_labels=all_labels)[step] for part in range(3)]
        for batch in batches:
            assert batch.shares == batches[0].shares
        for head, counts in batches[0].shares.items():
            assert counts == tuple(
                len(batch.targets[head].rows) if head in batch.targets else 0 for batch in batches
            )
            seen.add((head, min(counts) == 0))
        assert all(set(batch.targets) <= set(batch.shares) for batch in batches)
    assert {head for head, _ in seen} == {"nuclei.instance", "nuclei.type", "gland.instance", "tissue.patch"}
    assert any(missing for _, missing in seen)


def test_a_whole_batch_shares_nothing(mixed_store: Store) -> None:
    assert _dataset(mixed_store, (0, 1), all_labels=False)[0].shares == {}


def test_presence_is_a_mask_of_the_rows(mixed_store: Store) -> None:
    batch = _dataset(mixed_store, (0, 1), all_labels=True)[0]
    target = next(iter(batch.targets.values()))
    mixed = replace(target, rows=torch.tensor([1, 3]))
    assert mixed.present.tolist() == [False, True, False, True, False][: len(batch.images)]
