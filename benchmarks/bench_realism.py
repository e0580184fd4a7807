"""How easily synthetic crops are told from real ones: the accuracy of a classifier of colours and textures.

A logistic regression learns from crops of the synthetic slides of a store and of its real images with
objects, and is asked about crops of others, as they are and as training shows them: 0.5 is a coin's toss, 1.0
never fooled.

    python -m benchmarks.bench_realism STORE RUN.toml [--crops N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from histocerb.core.config_file import read_document, validated
from histocerb.data.augment import NO_AUGMENTATION, AugmentParams, place, restyle
from histocerb.data.manifest import Record
from histocerb.data.splits import TRAIN, VALID
from histocerb.data.store import Store
from histocerb.data.warp import warp_image
from histocerb.training.config import TrainConfig

CROP_PX = 256
SCALES_PX = (1, 2, 4, 8, 16)
SYNTHETIC = "synth"
"""A source, and what the names of other synthetic ones begin with."""
FOLDS = 4


def features(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What a crop looks like: percentiles and covariance of its colours, contrast at several scales."""
    density = -np.log((image.astype(np.float32) + 1) / 256)
    flat = density.reshape(-1, 3)
    colours = np.percentile(flat, (1, 10, 25, 50, 75, 90, 99), axis=0).ravel()
    spread = np.cov(flat.T)[np.triu_indices(3)]
    blurred = [density, *(cv2.GaussianBlur(density, (0, 0), scale) for scale in SCALES_PX)]
    bands = [fine - coarse for fine, coarse in pairwise(blurred)]
    contrast = [np.log([band.std() + 1e-4 for band in np.moveaxis(part, -1, 0)]) for part in bands]
    peaks = [((part / (part.std() + 1e-4)) ** 4).mean((0, 1)) ** 0.25 for part in bands]
    return np.concatenate([colours, spread, *contrast, *peaks]).astype(np.float32)


def crops(store: Store, indices: Sequence[int], count: int, augment: AugmentParams) -> torch.Tensor:
    """`count` x F features of crops of these samples, each sample as often as the other."""
    rng = np.random.default_rng(0)
    order = rng.permutation(indices).tolist()
    found = []
    for number in range(count):
        index = order[number % len(order)]
        record = store.records[index]
        matrix = place(rng, (record.height, record.width), CROP_PX, augment)
        found.append(features(restyle(rng, warp_image(store.image(index), matrix, CROP_PX), augment)))
    return torch.tensor(np.stack(found))


def accuracy(store: Store, count: int, augment: AugmentParams) -> float:
    """Of logistic regressions on crops of images that they have not seen, both kinds counting the same.

    Real crops are of training images to learn from and of validation images to be asked about; synthetic
    squares are asked about by quarters, each by a regression that learned from the other three.
    """
    known, asked = (
        crops(store, [i for i in store.indices(splits=[split]) if is_real(store.records[i])], count, augment)
        for split in (TRAIN, VALID)
    )
    squares = store.indices(source=SYNTHETIC)
    parts = [crops(store, squares[k::FOLDS], -(-count // FOLDS), augment) for k in range(FOLDS)]
    right = []
    for k, part in enumerate(parts):
        said = classifier(known, torch.cat([*parts[:k], *parts[k + 1 :]]))
        right.append(float(said(part).float().mean() + 1 - said(asked).float().mean()) / 2)
    return float(np.mean(right))


def is_real(record: Record) -> bool:
    """Whether it is an image with objects that nobody drew."""
    return bool(record.labels) and not record.source.startswith(SYNTHETIC)


def classifier(real: torch.Tensor, synthetic: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Says which of N x F features are of synthetic crops: logistic regression, L2 1e-3."""
    features = torch.cat([real, synthetic])
    kinds = torch.cat([torch.zeros(len(real)), torch.ones(len(synthetic))])
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    known = (features - mean) / deviation
    weights = torch.zeros(known.shape[1] + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=300)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = known @ weights[1:] + weights[0]
        value = torch.nn.functional.binary_cross_entropy_with_logits(logits, kinds, pos_weight=balance)
        value = value + 1e-3 * weights[1:].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    balance = torch.tensor(len(real) / len(synthetic))
    optimizer.step(loss)  # type: ignore[no-untyped-call]
    learned = weights.detach()
    return lambda asked: (asked - mean) / deviation @ learned[1:] + learned[0] > 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("run", type=Path, help="a run, for its augmentation")
    parser.add_argument("--crops", type=int, default=500, help="of each kind, to learn from and to ask about")
    chosen = parser.parse_args()
    store = Store(chosen.store)
    run = validated(read_document(chosen.run), TrainConfig, str(chosen.run))
    for name, augment in (("as they are", NO_AUGMENTATION), ("as training shows them", run.crops.augment)):
        print(f"{name}: {accuracy(store, chosen.crops, augment):.3f} told apart")


if __name__ == "__main__":
    main()
