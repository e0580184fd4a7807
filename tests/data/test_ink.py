from dataclasses import replace

import numpy as np
import pytest

from histocerb.data.augment import NO_AUGMENTATION
from histocerb.data.batches import BatchDataset, CropParams
from histocerb.data.ink import blot, ink, without_covered
from histocerb.data.sampler import SamplerParams, TaskSampler

ALWAYS = replace(NO_AUGMENTATION, ink_prob=1.0)


def test_blots_are_as_frequent_and_large_as_said() -> None:
    rng = np.random.default_rng(0)
    shares = [found.mean() for _ in range(100) if (found := blot(rng, 64, ALWAYS)) is not None]
    assert len(shares) == 100
    assert min(shares) > 0
    assert max(shares) <= ALWAYS.ink_share + 0.01
    some = [blot(rng, 64, replace(ALWAYS, ink_prob=0.3)) for _ in range(400)]
    assert sum(found is not None for found in some) / 400 == pytest.approx(0.3, abs=0.08)


def test_ink_is_dark_and_only_where_it_is() -> None:
    rng = np.random.default_rng(1)
    image = np.full((64, 64, 3), 220, np.uint8)
    where = np.zeros((64, 64), bool)
    where[20:50, 20:50] = True
    inked = ink(rng, image, where)
    assert np.array_equal(inked[:10], image[:10])
    assert inked[25:45, 25:45].mean() < 130


def test_mostly_covered_objects_vanish_and_others_stay_whole() -> None:
    ids = np.zeros((10, 20), np.int32)
    ids[2:8, 2:8], ids[2:8, 10:20] = 3, 70_000
    where = np.zeros((10, 20), bool)
    where[:, :13] = True
    expected = np.where(ids == 3, 0, ids)
    assert np.array_equal(without_covered(ids, where), expected)
    assert np.array_equal(without_covered(ids, np.zeros_like(where)), ids)


def test_labels_of_a_crop_follow(store) -> None:
    sampler = TaskSampler(store, None, SamplerParams(4, segmentation_prob=1.0))
    clean = BatchDataset(store, sampler, 0, CropParams(64, augment=NO_AUGMENTATION))
    inked = BatchDataset(store, sampler, 0, CropParams(64, augment=replace(ALWAYS, ink_share=0.9)))
    fewer = 0
    for step in range(6):
        one, other = clean[step], inked[step]
        assert (one.images != other.images).any()
        for head, target in one.targets.items():
            found = other.targets[head].values
            # What is left is where it was: no object appears or moves.
            assert ((found == 1) & (target.values == 0)).sum() == 0
            fewer += int(((found == 0) & (target.values == 1)).sum())
    assert fewer > 0
