from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from histocerb.core.config_file import validated
from histocerb.core.errors import CheckpointError, UsageError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS
from histocerb.data.convert import convert
from histocerb.data.sources.entry import as_entries
from histocerb.data.store import Store
from histocerb.models.checkpoint import load_checkpoint, save_checkpoint
from histocerb.models.config import EncoderConfig, NetworkConfig
from histocerb.models.network import Network
from histocerb.training.begin import first_network
from histocerb.training.config import TrainConfig
from histocerb.training.fit import fit
from histocerb.training.frequencies import adjust, class_shares, told

TINY = NetworkConfig(
    EncoderConfig(blocks=(1, 1, 1), widths=(16, 16, 16, 32), stem_stride=2), head_width=8, patch_width=8
)
NUCLEI = CERBERUS.task("nuclei")
TYPE = "nuclei.type"


def _sample(name: str, classes: list[str], task: str = "nuclei") -> Sample:
    """One object of 4 px side per class, side by side; "" has none."""
    ids = np.zeros((16, 4 * len(classes) + 16), np.int32)
    for number in range(len(classes)):
        ids[4:8, 4 * number : 4 * number + 4] = number + 1
    image = np.random.default_rng(len(name)).integers(0, 255, (*ids.shape, 3), np.uint8)
    known = {number: each for number, each in enumerate(classes, start=1) if each}
    return Sample(image, 0.5, {task: ObjectLabels(ids, known)}, source="made", patient=name, name=name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    samples = [
        _sample("one", ["epithelial"] * 6 + ["lymphocyte"] * 3 + ["", ""]),
        _sample("second", ["inflammatory"] * 4 + ["plasma"] + ["connective"] * 2),
        _sample("glands", ["gland"] * 5, "gland"),
    ]
    convert(as_entries(samples), tmp_path / "store")
    return Store(tmp_path / "store")


def test_groups_are_divided_as_their_members_are(store: Store) -> None:
    shares = class_shares(store.records, NUCLEI)
    # Of the inflammatory: 3 lymphocytes, 1 plasma cell, and classes that do not occur count as 1.
    expected = {
        "neutrophil": 1 + 4 / 6,
        "epithelial": 6,
        "lymphocyte": 3 + 4 * 3 / 6,
        "plasma": 1 + 4 / 6,
        "eosinophil": 1 + 4 / 6,
        "connective": 2,
    }
    total = sum(expected.values())
    assert list(shares) == list(NUCLEI.classes)
    assert shares == pytest.approx({name: value / total for name, value in expected.items()})


@pytest.mark.parametrize(
    "config", [TINY, replace(TINY, subpixel=True), replace(TINY, branches={TYPE: "nuclei.instance"})]
)
def test_logits_are_shifted_by_the_log_of_the_share(store: Store, config: NetworkConfig) -> None:
    torch.manual_seed(0)
    network = Network(CERBERUS, config).eval()
    images = torch.rand(1, 3, 32, 32) * 255
    with torch.inference_mode():
        before = network(images)
        found = adjust(network, store.records, [TYPE, "nuclei.instance", "gland.instance"])
        after = network(images)
    assert list(found) == [TYPE]
    shift = torch.tensor([0.0, *np.log(list(class_shares(store.records, NUCLEI).values()))])
    torch.testing.assert_close(after[TYPE], before[TYPE] + shift.float()[None, :, None, None])
    for name in set(before) - {TYPE}:
        assert torch.equal(before[name], after[name]), name


def _run(store: Store, **changes: Any) -> TrainConfig:
    document = {
        "name": "run",
        "store": str(store.path),
        "network": {
            "encoder": {"blocks": [1, 1, 1], "widths": [16, 16, 16, 32], "stem_stride": 2},
            "head_width": 8,
            "patch_width": 8,
        },
        "stages": [{"heads": [TYPE], "steps": 1}],
        "sampler": {"batch_size": 2, "segmentation_prob": 1.0},
        "crops": {"crop_px": 32},
        "workers": 0,
        **changes,
    }
    return validated(document, TrainConfig, "here")


def test_a_run_says_what_it_told_the_heads(store: Store, tmp_path: Path) -> None:
    model = fit(_run(store, natural_frequencies=True), tmp_path / "adjusted", device="cpu")
    plain = fit(_run(store), tmp_path / "plain", device="cpu")
    facts = json.loads((model / "spec.json").read_text())["facts"]
    training = [record for record in store.records if record.split == "train"]
    shares = class_shares(training, NUCLEI)
    assert shares != class_shares(store.records, NUCLEI)
    assert facts["frequencies"] == {TYPE: pytest.approx(shares)}
    images = torch.rand(1, 3, 32, 32) * 255
    with torch.inference_mode():
        one, other = (load_checkpoint(path).network.eval()(images)[TYPE] for path in (model, plain))
    shift = torch.tensor([0.0, *np.log(list(shares.values()))])
    torch.testing.assert_close(one, other + shift.float()[None, :, None, None])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subtyping_loss": "ce"}, "'ce', which knows how frequent classes are"),
        ({"stages": [{"heads": ["nuclei.instance"], "steps": 1}]}, "no stage trains one"),
    ],
)
def test_runs_with_nothing_to_adjust_are_refused(
    store: Store, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        fit(_run(store, natural_frequencies=True, **changes), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_run_that_goes_on_takes_back_what_the_heads_were_told(store: Store, tmp_path: Path) -> None:
    model = fit(_run(store, natural_frequencies=True), tmp_path / "adjusted", device="cpu")
    plain = load_checkpoint(fit(_run(store), tmp_path / "plain", device="cpu")).network.eval()
    images = torch.rand(1, 3, 32, 32) * 255
    others = [{"heads": ["gland.instance"], "steps": 1}]
    runs = (
        ({"natural_frequencies": True}, plain),
        ({}, plain),
        ({"stages": others}, load_checkpoint(model).network),
    )
    with torch.inference_mode():
        for changes, expected in runs:
            begun = first_network(_run(store, start_from=str(model), **changes)).eval()
            torch.testing.assert_close(begun(images)[TYPE], expected(images)[TYPE])


def test_what_a_head_was_told_is_kept_while_others_are_trained(store: Store, tmp_path: Path) -> None:
    first = fit(_run(store, natural_frequencies=True), tmp_path / "first", device="cpu")
    stages = [{"heads": ["gland.instance"], "steps": 1}]
    second = fit(_run(store, start_from=str(first), stages=stages), tmp_path / "second", device="cpu")
    assert told(load_checkpoint(second)) == told(load_checkpoint(first)) != {}
    third = fit(_run(store, start_from=str(second)), tmp_path / "third", device="cpu")
    assert told(load_checkpoint(third)) == {}


@pytest.mark.parametrize(
    "frequencies",
    [["epithelial"], {TYPE: 1.0}, {TYPE: {"epithelial": 1.0}}, {TYPE: dict.fromkeys(NUCLEI.classes, 0)}],
)
def test_facts_that_are_no_shares_are_refused(store: Store, tmp_path: Path, frequencies: Any) -> None:
    save_checkpoint(tmp_path / "odd", Network(CERBERUS, TINY), {"frequencies": frequencies})
    with pytest.raises(CheckpointError, match=r"expected .* (classes|each class)"):
        first_network(_run(store, natural_frequencies=True, start_from=str(tmp_path / "odd")))
