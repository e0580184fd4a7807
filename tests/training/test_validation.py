from __future__ import annotations

from typing import Any

from histocerb.core.config_file import validated
from histocerb.data.store import Store
from histocerb.training.begin import first_network
from histocerb.training.config import TrainConfig, ValidationConfig
from histocerb.training.evaluation import Choice
from histocerb.training.evaluation.measure import chosen
from histocerb.training.validation import validate


def test_a_run_is_checked_on_the_images_that_evaluate_chooses(recipe: dict[str, Any], store: Store) -> None:
    network = first_network(validated(recipe, TrainConfig, "recipe"))
    report = validate(network, store, ValidationConfig(split="train", images=2))
    expected = chosen(store, Choice(("train",), 2))
    assert {row["id"] for row in report["images"]} == {store.records[i].who for i in expected}
    sources = [store.records[i].source for i in expected]
    assert sources == ["patches"] * 2 + ["squares"] * 2
