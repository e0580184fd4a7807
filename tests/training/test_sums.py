from __future__ import annotations

import pytest
import torch

from histocerb.core.errors import HistocerbError
from histocerb.training.sums import LossSums


def test_mean_over_the_batches_that_had_the_head() -> None:
    sums = LossSums()
    for value in (1.0, 2.0, 6.0):
        sums.add("a", torch.tensor(value))
    sums.add("b", torch.tensor(5.0))
    assert sums.means(3) == {"a": 3.0, "b": 5.0}
    sums.clear()
    assert sums.means(3) == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_loss_is_named_with_its_step(value: float) -> None:
    sums = LossSums()
    sums.add("fine", torch.tensor(1.0))
    sums.add("gland.instance", torch.tensor(value))
    with pytest.raises(HistocerbError, match=r"gland\.instance is not finite at step 12; lower the learning"):
        sums.means(12)


def test_adding_reads_no_value() -> None:
    """Tensors on the meta device have none."""
    sums = LossSums()
    for _ in range(2):
        sums.add("a", torch.zeros((), device="meta", requires_grad=True))
    with pytest.raises((NotImplementedError, RuntimeError)):
        sums.means(1)
