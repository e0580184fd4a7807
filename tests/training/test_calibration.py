from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from histocerb.core.config_file import validated
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS
from histocerb.models.checkpoint import load_checkpoint
from histocerb.models.config import NetworkConfig
from histocerb.models.network import Network
from histocerb.postproc.calibrate import share_logit, tempered
from histocerb.training.calibration import Fit, Told, ToldPatches, calibrate, fit_temperature
from histocerb.training.config import TrainConfig
from histocerb.training.fit import fit

TRUE = 2.5
CLASSES = CERBERUS.task("nuclei").classes
TISSUES = CERBERUS.task("tissue").classes


def _told(rng: np.random.Generator, n: int, temperature: float) -> Told:
    share = rng.uniform(0.4, 0.98, n)
    return Told(share, rng.random(n) < tempered(share_logit(share), temperature))


def _patches(rng: np.random.Generator, n: int, temperature: float) -> ToldPatches:
    logits = rng.normal(0, 3, (n, 9))
    soft = np.exp(logits / temperature)
    truth = [rng.choice(9, p=row / row.sum()) for row in soft]
    said = np.exp(logits)
    return ToldPatches(said / said.sum(1, keepdims=True), np.array(truth))


@pytest.mark.parametrize("answers", [_told, _patches])
@pytest.mark.parametrize("true", [0.6, 1.0, TRUE])
def test_the_temperature_that_made_the_answers_is_found(answers: Any, true: float) -> None:
    source = answers(np.random.default_rng(0), 20_000, true)
    fit = fit_temperature([source])
    assert fit is not None
    found = fit.temperature
    assert found == pytest.approx(true, rel=0.1)
    assert fit.ece_after < 0.02
    assert (fit.ece_before, fit.ece_after) == (source.ece(1), source.ece(found))
    assert true == 1 or fit.ece_before > 2 * fit.ece_after
    assert source.likelihood(found) >= max(source.likelihood(found * f) for f in (0.9, 0.99, 1.01, 1.1))


def test_every_source_counts_the_same() -> None:
    rng = np.random.default_rng(0)
    few, many = _told(rng, 2_000, 4.0), _told(rng, 40_000, 1.0)
    twice = Told(np.tile(many.share, 2), np.tile(many.right, 2))
    one, other = fit_temperature([few, many]), fit_temperature([few, twice])
    assert one is not None
    assert one == other
    assert 1.2 < one.temperature < 3.5


def test_hardly_anything_wrong_says_nothing() -> None:
    share, right = np.full(500, 0.8), np.arange(500) >= 9
    assert fit_temperature([Told(share, right)]) is None
    assert fit_temperature([]) is None
    assert fit_temperature([Told(share, np.arange(500) >= 10)]) is not None


def _sample(number: int) -> Sample:
    ids = np.zeros((144, 144), np.int32)
    for place in range(81):
        row, column = 16 * (place // 9), 16 * (place % 9)
        ids[row : row + 12, column : column + 12] = place + 1
    objects = {"nuclei": ObjectLabels(ids, {place + 1: CLASSES[0] for place in range(81)})}
    image = np.full((144, 144, 3), 200, np.uint8)
    return Sample(image, 0.5, objects, TISSUES[0], source="s", patient="p", name=str(number))


def _overconfident(rng: np.random.Generator) -> Any:
    """Maps whose shares and probabilities promise more than they hold."""

    def predict(image: np.ndarray) -> dict[str, np.ndarray]:
        ids = _sample(0).objects["nuclei"].ids
        instance, types = np.zeros((144, 144, 3)), np.zeros((144, 144, 7))
        instance[..., 0], instance[ids > 0] = ids == 0, (0, 1, 0)
        for number in range(1, 82):
            rows, columns = rng.permutation(np.argwhere(ids == number)).T
            agree = int(rng.integers(80, 140))
            right = rng.random() < tempered(share_logit(np.array(agree / 144)), TRUE)
            told, other = (1, 2) if right else (2, 1)
            types[rows[:agree], columns[:agree], told] = 1
            types[rows[agree:], columns[agree:], other] = 1
        logits = rng.normal(0, 3, 9)
        soft = np.exp(logits / TRUE)
        first = rng.choice(9, p=soft / soft.sum())  # the truth is class 0
        logits[[0, first]] = logits[[first, 0]]
        cell = (np.exp(logits) / np.exp(logits).sum())[None, None]
        return {"nuclei.instance": instance, "nuclei.type": types, "tissue.patch": cell}

    return predict


def test_a_network_gets_its_temperatures(tiny: NetworkConfig) -> None:
    spec = CERBERUS.only({"nuclei.instance", "nuclei.type", "tissue.patch"})
    task = spec.task("nuclei")
    assert task.postproc is not None
    other = replace(task, postproc=replace(task.postproc, class_temperature=7.0))
    network = Network(replace(spec, tasks=(other, spec.task("tissue"))), tiny).eval()
    crop = torch.rand(1, 3, 144, 144) * 255
    with torch.no_grad():
        before = network(crop)
        found = calibrate(network, map(_sample, range(60)), _overconfident(np.random.default_rng(0)))
        after = network(crop)
    assert found["nuclei"].temperature == pytest.approx(TRUE, rel=0.15)  # whatever it was before
    assert found["tissue"].temperature == pytest.approx(TRUE, rel=0.5)  # of 60 patches
    changed = network.spec.task("nuclei").postproc
    assert changed == replace(task.postproc, class_temperature=found["nuclei"].temperature)
    assert torch.allclose(
        after["tissue.patch"], before["tissue.patch"] / found["tissue"].temperature, atol=1e-6
    )
    assert torch.equal(after["nuclei.type"], before["nuclei.type"])


def test_a_run_ends_with_it(recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny network finds nothing to be wrong about."""
    monkeypatch.setattr("histocerb.training.calibration.fit_temperature", lambda _: Fit(3.0, 0.2, 0.1))
    config = validated(recipe | {"calibrate": True}, TrainConfig, "recipe")
    model = fit(config, tmp_path / "run", device="cpu")
    facts = json.loads((model / "spec.json").read_text())["facts"]
    spec = load_checkpoint(model).network.spec
    assert set(facts["calibration"]) == {task.name for task in spec.tasks}
    for task in spec.tasks:
        assert facts["calibration"][task.name] == {"temperature": 3.0, "ece_before": 0.2, "ece_after": 0.1}
        assert task.postproc is None or task.postproc.class_temperature == 3.0
