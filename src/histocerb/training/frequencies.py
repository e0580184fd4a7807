"""How frequent classes are, given to type heads that learned as if all were equally frequent.

The masked subtyping loss (paper eq. 2-4) averages over the pixels of each class and sums over the classes, so
a rare class counts as much as a common one. That makes rare classes learnable, and makes the head name them
too often: it answers how well a nucleus fits a class, not how probable the class is. Adding the log
of the frequencies to the logits turns the first into the second (logit adjustment, Menon et al. 2021). A run
that trains such a head further takes the addition back before it begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from histocerb.core.errors import CheckpointError, UsageError
from histocerb.core.tasks import HeadKind, Task, TaskSpec
from histocerb.data.manifest import Record
from histocerb.models.checkpoint import Checkpoint
from histocerb.models.decoder import Branch, PixelDecoder
from histocerb.models.network import Network, module_name
from histocerb.training.config import TrainConfig, trained_heads


def adjust(network: Network, records: Iterable[Record], heads: Iterable[str]) -> dict[str, dict[str, float]]:
    """Shift the logits of type heads by the log of how frequent each class is among the training samples.

    Args:
        network: changed in place, the last layer of those heads.
        records: what was trained on.
        heads: names of the heads; those that are no type heads are left alone.

    Returns:
        Per type head, the share of each class.
    """
    found = {}
    samples = list(records)
    for task in network.spec.objects:
        head = task.head(HeadKind.TYPE)
        if head is not None and head.name in heads:
            shares = class_shares(samples, task)
            _shift(network, head.name, np.log(list(shares.values())))
            found[head.name] = shares
    return found


def told(checkpoint: Checkpoint) -> dict[str, dict[str, float]]:
    """What its type heads were told: per head, the share of each class.

    Raises:
        CheckpointError: facts that say something else.
    """
    found = checkpoint.facts.get("frequencies", {})
    if not isinstance(found, dict) or not all(isinstance(shares, dict) for shares in found.values()):
        raise CheckpointError(f"expected frequencies of classes in {checkpoint.name}, found {found}")
    return found


def take_back(network: Network, shares: Mapping[str, Mapping[str, float]], heads: Collection[str]) -> None:
    """Undo `adjust`, so that heads that are trained further are not told the frequencies twice.

    Args:
        network: changed in place, the last layer of those heads.
        shares: per type head, the share of each class that it was told (of a checkpoint: its facts).
        heads: names of the heads to change; those without `shares` are left alone.

    Raises:
        CheckpointError: shares that are none.
    """
    for head in network.spec.heads:
        if head.name not in heads or head.name not in shares:
            continue
        found = shares[head.name]
        if found.keys() != set(head.classes) or not all(map(_is_share, found.values())):
            raise CheckpointError(f"expected a share of each class of {head.name}, found {dict(found)}")
        _shift(network, head.name, -np.log([found[name] for name in head.classes]))


def _is_share(value: Any) -> bool:
    return isinstance(value, float) and 0 < value <= 1


def check_frequencies(config: TrainConfig, spec: TaskSpec) -> None:
    """A run that would adjust has something to adjust.

    Raises:
        UsageError: it has not.
    """
    if not config.natural_frequencies:
        return
    if config.subtyping_loss != "masked_ce_dice":
        raise UsageError(
            'natural_frequencies are for subtyping_loss = "masked_ce_dice", found '
            f"{config.subtyping_loss!r}, which knows how frequent classes are; leave them out"
        )
    types = {head.name for head in spec.heads if head.kind is HeadKind.TYPE}
    if not types & trained_heads(config):
        raise UsageError(
            f"natural_frequencies are for type heads ({', '.join(sorted(types)) or 'here none'}), and no "
            "stage trains one; leave them out"
        )


def class_shares(records: Iterable[Record], task: Task) -> dict[str, float]:
    """Share of each class among the objects of a task whose class is known.

    A group of classes is divided among its members as those are among the objects of known class. A class
    that does not occur counts as one object.
    """
    named = Counter[str]()
    for record in records:
        for label in record.labels:
            if label.task == task.name:
                named.update(dict(zip(label.vocabulary, label.per_class, strict=True)))
    known = {name: max(1, named[name]) for name in task.classes}
    counts = {name: float(number) for name, number in known.items()}
    for group, members in task.groups.items():
        together = sum(known[name] for name in members)
        for name in members:
            counts[name] += named[group] * known[name] / together
    total = sum(counts.values())
    return {name: number / total for name, number in counts.items()}


def _shift(network: Network, head_name: str, logs: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    decoder = network.decoders[module_name(head_name)]
    assert isinstance(decoder, PixelDecoder | Branch), "type heads are pixel heads"
    last = [layer for layer in decoder.head if isinstance(layer, nn.Conv2d)][-1]
    assert last.bias is not None, "the last convolution has a bias"
    places = last.out_channels // (1 + len(logs))  # of a sub-pixel head: 4 per channel
    with torch.no_grad():
        last.bias[places:] += torch.from_numpy(logs.repeat(places)).to(last.bias)
