from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from histocerb.core.samples import Sample
from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.data.batches import CropParams
from histocerb.data.convert import convert
from histocerb.data.sources.entry import as_entries
from histocerb.data.store import Store
from histocerb.data.targets import instance_target, type_target
from histocerb.models.checkpoint import save_checkpoint
from histocerb.models.config import NetworkConfig
from histocerb.models.network import Network
from histocerb.models.whole_image import plain_maps
from histocerb.training.config import StageConfig, TrainConfig
from histocerb.training.evaluation import evaluate as measure_samples
from histocerb.training.evaluation import over_folds
from histocerb.training.evaluation.measure import fingerprint
from histocerb.training.experiment.plan import OBJECT_FIGURES, PATCH_FIGURES, Job
from histocerb.training.experiment.work import evaluate

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def model(tiny: NetworkConfig, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "model", Network(CERBERUS, tiny))
    return tmp_path / "model"


def _job(store: Store, *heads: str) -> Job:
    config = TrainConfig(name="x", store=str(store.path), stages=(StageConfig(heads, 1),))
    held = {
        split: fingerprint([r for r in store.records if r.split == split]) for split in ("train", "valid")
    }
    return Job("x", config, {"cross": "valid"}, held, heads)


def test_only_the_heads_of_the_job_are_measured(store: Store, model: Path) -> None:
    found = evaluate(model, _job(store, "gland.instance", "tissue.patch"), "train", "cpu")
    summary = found["summary"]["all"]
    assert set(summary) == {"gland", "tissue"}
    assert set(PATCH_FIGURES) <= set(over_folds([found])["tissue"])
    assert found["data"]["splits"] == ["train"]
    assert {image["split"] for image in found["images"]} == {"train"}


def test_the_figures_of_objects_are_those_of_an_evaluation(store: Store) -> None:
    task = CERBERUS.task("nuclei")
    samples = [store.sample(index) for index in store.indices(task=task.name)]
    truth = {sample.image.tobytes(): sample.objects[task.name] for sample in samples}

    def predict(image: np.ndarray) -> dict[str, np.ndarray]:
        labels = truth[image.tobytes()]
        inside = instance_target(labels.ids, task.postproc.element_px if task.postproc else 0)
        types = type_target(labels.ids, labels.classes, task)
        channels = len(task.classes) + 1
        return {"nuclei.instance": np.eye(3)[inside], "nuclei.type": np.eye(channels)[types]}

    found = measure_samples(samples, predict, CERBERUS.only({head.name for head in task.heads}))
    assert set(OBJECT_FIGURES) <= set(over_folds([found])[task.name])


@pytest.mark.parametrize("margin_px", [0, 32])
def test_patches_are_seen_as_in_training(
    store: Store, model: Path, tiny: NetworkConfig, margin_px: int
) -> None:
    job = _job(store, "tissue.patch")
    job = replace(job, config=replace(job.config, crops=CropParams(patch_margin_px=margin_px)))
    found = evaluate(model, job, "train", "cpu")
    torch.manual_seed(0)
    network = Network(CERBERUS, tiny).eval()
    rows = {row["id"]: row["tasks"]["tissue"]["probability"] for row in found["images"]}
    assert rows
    for index in store.indices(splits=["train"], source="patches"):
        margins = ((margin_px, margin_px), (margin_px, margin_px), (0, 0))
        image = np.pad(store.image(index), margins, mode="reflect")
        expected = plain_maps(network, image, margin_px)["tissue.patch"].max()
        assert rows[f"patches/{store.records[index].name}"] == pytest.approx(float(expected), abs=1e-5)


def test_of_larger_patches_the_middle_is_seen(model: Path, tiny: NetworkConfig, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (224, 200, 3)).astype(np.uint8)
    name = CERBERUS.patch.classes[1] if CERBERUS.patch else ""
    store = convert(
        as_entries([Sample(image, 0.5, patch_class=name, source="x", patient="p", name="n")]), tmp_path
    )
    found = evaluate(model, _job(store, "tissue.patch"), store.records[0].split, "cpu")
    torch.manual_seed(0)
    maps = plain_maps(Network(CERBERUS, tiny).eval(), image[40 : 40 + 144, 28 : 28 + 144])
    (row,) = found["images"]
    assert row["tasks"]["tissue"]["probability"] == pytest.approx(float(maps["tissue.patch"].max()), abs=1e-5)


def test_lumina_count_outside_glands_too(store: Store, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that sees lumina everywhere and no gland."""

    def maps(network: Network, image: np.ndarray) -> dict[str, np.ndarray]:
        shape = (*image.shape[:2], 3)
        found = {
            head.name: np.zeros(shape, np.float32)
            for head in CERBERUS.heads
            if head.kind is HeadKind.INSTANCE
        }
        found["gland.instance"][..., 0] = found["nuclei.instance"][..., 0] = 1
        found["lumen.instance"][..., 1] = 1
        return found

    monkeypatch.setattr("histocerb.training.experiment.work.mirrored_maps", maps)
    found = evaluate(model, _job(store, "gland.instance", "lumen.instance"), "train", "cpu")
    assert found["summary"]["all"]["gland"]["found"] == 0
    assert found["summary"]["all"]["lumen"]["found"] > 0
