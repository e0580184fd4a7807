"""The experiment with a known answer: pictures that are what they say, and a short training that learns."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.known_answer.__main__ import CONFIGS, TARGETS
from benchmarks.known_answer.images import make_image, make_patch
from benchmarks.known_answer.scene import GLANDS, LOOKS
from benchmarks.known_answer.store import Counts, source, write_store
from benchmarks.known_answer.tissue import TEXTURES
from histocerb.core.config_file import read_config
from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.data.batches import CropParams
from histocerb.data.sampler import SamplerParams
from histocerb.data.store import Store
from histocerb.data.validate import validate
from histocerb.training.config import TrainConfig, ValidationConfig
from histocerb.training.fit import fit


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_store(
        tmp_path_factory.mktemp("known"), Counts(nuclei=2, gland=2, lumen=10, tissue=9, side_px=160)
    )


@given(seed=st.integers(0, 2**31))
@settings(max_examples=6, deadline=None)
def test_pictures_have_exact_labels_of_every_kind(seed: int) -> None:
    sample = make_image(seed, 224)
    validate(sample)
    again = make_image(seed, 224)
    assert np.array_equal(sample.image, again.image)
    nuclei, glands, lumina = (sample.objects[name] for name in ("nuclei", "gland", "lumen"))
    assert set(nuclei.classes.values()) <= set(LOOKS)
    assert set(glands.classes.values()) <= set(GLANDS)
    for labels in (nuclei, glands):
        assert set(labels.classes) == set(np.unique(labels.ids).tolist()) - {0}
    for number in set(np.unique(lumina.ids).tolist()) - {0}:  # every lumen lies in one gland that has one
        around = set(np.unique(glands.ids[lumina.ids == number]).tolist())
        assert len(around) == 1
        assert glands.classes[around.pop()] == "gland"
    assert not (nuclei.ids[lumina.ids > 0]).any()
    for labels in (nuclei, glands, lumina):
        assert _apart(labels.ids)


def _apart(ids: np.ndarray) -> bool:
    """No two objects touch."""
    count, pieces = cv2.connectedComponents((ids > 0).astype(np.uint8), connectivity=8)
    return all(len(np.unique(ids[pieces == k])) == 1 for k in range(1, count))


def test_classes_are_those_of_the_spec() -> None:
    assert set(LOOKS) == set(CERBERUS.task("nuclei").classes)
    assert set(GLANDS) == set(CERBERUS.task("gland").classes)
    assert set(TEXTURES) == set(CERBERUS.task("tissue").classes)
    patches = [make_patch(seed) for seed in range(18)]
    assert Counter(patch.patch_class for patch in patches) == dict.fromkeys(TEXTURES, 2)
    assert not np.array_equal(patches[0].image, patches[9].image)


def test_the_sets_are_partly_labelled(store: Store) -> None:
    for task in ("nuclei", "gland", "lumen"):
        records = [record for record in store.records if record.source == source(task)]
        assert {label.task for record in records for label in record.labels} == {task}
        assert {record.split for record in records} == {"train", "valid"}
    assert len({record.patient for record in store.records}) == len(store)


def test_there_is_a_run_of_every_kind() -> None:
    configs = {name: read_config(path, TrainConfig) for name, path in CONFIGS.items()}
    heads = {
        name: {head for stage in config.stages for head in stage.heads} for name, config in configs.items()
    }
    every = {head.name for head in CERBERUS.heads}
    assert heads["mtl_mixed"] == heads["mtl_fixed"] == every
    assert {configs[name].sampler.mode for name in ("mtl_mixed", "mtl_fixed")} == {"mixed", "fixed"}
    single = {name: {head.split(".")[0] for head in found} for name, found in heads.items() if name[0] == "s"}
    assert single == {f"stl_{task.name}": {task.name} for task in CERBERUS.tasks}
    types = {head.name for head in CERBERUS.heads if head.kind is HeadKind.TYPE}
    assert types <= set().union(*(found for name, found in heads.items() if name[0] == "s"))
    assert {place[0] for place in TARGETS} == {task.name for task in CERBERUS.tasks}


def test_a_short_training_finds_lumina(store: Store, tmp_path: Path) -> None:
    """The answer is known: an untrained network has PQ 0, this one most of the lumina, after 60 steps."""
    config = read_config(CONFIGS["stl_lumen"], TrainConfig)
    (stage,) = config.stages
    config = replace(
        config,
        store=str(store.path),
        stages=(replace(stage, steps=60),),
        sampler=SamplerParams(4),
        crops=CropParams(crop_px=96, border_weights=False),
        validation=ValidationConfig(images=4),
    )
    threads = torch.get_num_threads()
    fit(config, tmp_path, device="cpu")
    torch.set_num_threads(threads)
    summary = json.loads((tmp_path / "validation.json").read_text())["summary"]
    assert summary["all"]["lumen"]["pq"]["mean"] > 0.6
