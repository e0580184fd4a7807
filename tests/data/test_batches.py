from dataclasses import replace

import numpy as np
import pytest
import torch

from histocerb.core.errors import UsageError
from histocerb.core.tasks import CERBERUS, TaskSpec
from histocerb.data.augment import NO_AUGMENTATION, AugmentParams
from histocerb.data.batches import Batch, BatchDataset, CropParams, loader
from histocerb.data.sampler import SamplerParams, TaskSampler
from histocerb.data.store import Store
from histocerb.data.targets import CONTOUR, instance_target, membership

SMALL = CropParams(crop_px=48)


def _dataset(
    store: Store, params: CropParams = SMALL, segmentation_prob: float = 0.7, spec: TaskSpec = CERBERUS
) -> BatchDataset:
    sampler = TaskSampler(store, None, SamplerParams(6, segmentation_prob=segmentation_prob))
    return BatchDataset(store, sampler, seed=3, params=params, spec=spec)


def _same(one: Batch, other: Batch) -> bool:
    return (
        one.step == other.step
        and one.tasks == other.tasks
        and torch.equal(one.images, other.images)
        and one.targets.keys() == other.targets.keys()
        and all(torch.equal(t.values, other.targets[h].values) for h, t in one.targets.items())
    )


def test_shapes_kinds_and_presence(store: Store) -> None:
    batch = _dataset(store, segmentation_prob=1.0)[0]
    assert batch.images.shape == (6, 3, 48, 48)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    for head, target in batch.targets.items():
        task = head.split(".")[0]
        assert target.present.tolist() == [drawn == task for drawn in batch.tasks]
        assert target.values.shape == (6, 48, 48)
        assert target.values.dtype == torch.uint8
        assert not target.values[~target.present].any()
        if head.endswith("instance"):
            assert target.weights is not None
            assert target.weights[target.present].min() >= 1
            assert target.membership is None
        else:
            assert target.weights is None
            assert torch.equal(target.membership, torch.from_numpy(membership(CERBERUS.task(task))))


def test_patch_batches(store: Store) -> None:
    dataset = _dataset(store, segmentation_prob=0.0)
    batch = dataset[1]
    assert batch.images.shape == (6, 3, 144, 144)
    assert list(batch.targets) == ["tissue.patch"]
    target = batch.targets["tissue.patch"]
    assert target.present.all()
    classes = [CERBERUS.task("tissue").classes[k] for k in target.values]
    assert classes == [store.records[i].patch_class for i in batch.indices]


def test_all_labels_adds_what_the_samples_have(store: Store) -> None:
    drawn_only, everything = SMALL, CropParams(crop_px=48, all_labels=True)
    batch = _dataset(store, everything, 1.0)[0]
    for head, target in batch.targets.items():
        labels = [store.records[i].label(head.split(".")[0]) for i in batch.indices]
        assert target.present.tolist() == [label is not None for label in labels]
    fewer = _dataset(store, drawn_only, 1.0)[0]
    assert sum(t.present.sum() for t in batch.targets.values()) > sum(
        t.present.sum() for t in fewer.targets.values()
    )


def test_plain_crops_show_the_targets_of_the_whole_image(store: Store) -> None:
    """An object that the crop cuts has the target it has in the whole image: no false contour, none lost."""
    params = CropParams(crop_px=48, augment=NO_AUGMENTATION, all_labels=True)
    batch = _dataset(store, params, 1.0)[2]
    for row, index in enumerate(batch.indices.tolist()):
        image = store.image(index)
        crop = batch.images[row].permute(1, 2, 0).numpy()
        y, x = _find(image, crop)
        for task in CERBERUS.objects:
            if store.records[index].label(task.name) is None:
                continue
            whole = instance_target(store.ids(index, task.name), task.postproc.element_px)
            found = batch.targets[f"{task.name}.instance"].values[row].numpy()
            assert np.array_equal(found[6:-6, 6:-6], whole[y + 6 : y + 42, x + 6 : x + 42])
            if 6 <= y <= 26 and 6 <= x <= 26:
                assert np.array_equal(found, whole[y : y + 48, x : x + 48])


def _find(image: np.ndarray, crop: np.ndarray) -> tuple[int, int]:
    side = len(crop)
    for y, x in np.argwhere((image[:, :, :] == crop[0, 0]).all(-1)):
        if np.array_equal(image[y : y + side, x : x + side], crop):
            return int(y), int(x)
    raise AssertionError("the crop is not part of the image")


def test_labels_turn_with_the_image(store: Store) -> None:
    """Where the type target says something, the object lies: both move by the same matrix."""
    params = CropParams(crop_px=48, augment=AugmentParams(warp_prob=1.0), border_weights=False)
    for step in range(3):
        batch = _dataset(store, params, 1.0)[step]
        for task in ("nuclei", "gland"):
            typed, instance = batch.targets.get(f"{task}.type"), batch.targets.get(f"{task}.instance")
            if typed is not None:
                assert (instance.values[typed.values > 0] > 0).all()
                assert (typed.values[typed.present] > 0).any()


def test_eroded_only_has_no_contour(store: Store) -> None:
    params = CropParams(crop_px=48, contour=False, border_weights=False)
    target = _dataset(store, params, 1.0)[0].targets["nuclei.instance"]
    assert set(target.values.unique().tolist()) == {0, 1}
    assert target.weights is None


def test_contours_end_where_the_task_says(store: Store) -> None:
    params = CropParams(crop_px=48, augment=NO_AUGMENTATION, border_weights=False, all_labels=True)
    nuclei = CERBERUS.task("nuclei")
    within = replace(nuclei, postproc=replace(nuclei.postproc, outer_contour=False))
    spec = replace(CERBERUS, tasks=(within, *(task for task in CERBERUS.tasks if task is not nuclei)))
    before, after = (
        _dataset(store, params, 1.0, tasks)[0].targets["nuclei.instance"].values for tasks in (CERBERUS, spec)
    )
    beyond = before != after
    assert (before[beyond] == CONTOUR).all()
    assert beyond.any()
    assert not after[beyond].any()


def test_workers_and_resuming_give_the_same_stream(store: Store) -> None:
    dataset = _dataset(store)
    alone = list(loader(dataset, range(6), workers=0))
    assert [batch.step for batch in alone] == list(range(6))
    resumed = list(loader(dataset, range(2, 6), workers=2))
    assert all(_same(one, other) for one, other in zip(alone[2:], resumed, strict=True))
    assert not _same(alone[0], alone[1])


def test_moving_a_batch_keeps_it(store: Store) -> None:
    batch = _dataset(store, segmentation_prob=1.0)[0]
    moved = batch.to(torch.device("cpu"), non_blocking=True)
    assert _same(batch, moved)
    meta = batch.to("meta")
    tensors = [meta.images, meta.indices]
    for target in meta.targets.values():
        tensors += [
            t for t in (target.values, target.present, target.weights, target.membership) if t is not None
        ]
    assert all(tensor.is_meta for tensor in tensors)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device for page-locked memory")
def test_pinned_batches(store: Store) -> None:
    batch = next(iter(loader(_dataset(store), range(1), workers=0, pin_memory=True)))
    assert batch.images.is_pinned()
    assert all(target.values.is_pinned() for target in batch.targets.values())


def test_patches_can_have_mirrored_context(store: Store) -> None:
    bare = _dataset(store, CropParams(), 0.0)[0].images
    wide = _dataset(store, CropParams(patch_margin_px=32), 0.0)[0].images
    assert wide.shape[-2:] == (144 + 64, 144 + 64)
    assert torch.equal(wide[..., 32:-32, 32:-32], bare)
    assert torch.equal(wide[..., :32], wide[..., 33:65].flip(-1))
    for margin_px in (-16, 8, 160):
        with pytest.raises(UsageError, match="patch_margin_px"):
            CropParams(patch_margin_px=margin_px)
