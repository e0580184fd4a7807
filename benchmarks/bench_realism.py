"""How easily synthetic crops are told from real ones: the accuracy of a classifier of colours and textures.

A logistic regression learns from crops of the training images of a store, source `synth` against all other
sources with objects, and is asked about crops of validation images, as they are and as training shows them.
Half of the crops are synthetic: 0.5 is a coin's toss, 1.0 never fooled.

    python -m benchmarks.bench_realism STORE RUN.toml [--crops N]
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from histocerb.core.config_file import read_document, validated
from histocerb.data.augment import NO_AUGMENTATION, AugmentParams, place, restyle
from histocerb.data.splits import TRAIN, VALID
from histocerb.data.store import Store
from histocerb.data.warp import warp_image
from histocerb.training.config import TrainConfig

CROP_PX = 256
SCALES_PX = (1, 2, 4, 8, 16)
SYNTHETIC = "synth"


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


def crops(store: Store, split: str, count: int, augment: AugmentParams) -> tuple[Any, Any]:
    """N x features and N labels (1: synthetic), half of each kind."""
    indices = [i for i in store.indices(splits=[split]) if store.records[i].labels]
    kinds = [[i for i in indices if (store.records[i].source == SYNTHETIC) is kind] for kind in (False, True)]
    rng = np.random.default_rng(0)
    found, labels = [], []
    for number in range(count):
        kind = number % 2
        index = kinds[kind][int(rng.integers(len(kinds[kind])))]
        record = store.records[index]
        matrix = place(rng, (record.height, record.width), CROP_PX, augment)
        found.append(features(restyle(rng, warp_image(store.image(index), matrix, CROP_PX), augment)))
        labels.append(kind)
    return torch.tensor(np.stack(found)), torch.tensor(labels, dtype=torch.float32)


def accuracy(store: Store, count: int, augment: AugmentParams) -> float:
    """Of a logistic regression (L2 1e-3) on crops of images that it has not seen."""
    known, kinds = crops(store, TRAIN, count, augment)
    asked, truth = crops(store, VALID, count, augment)
    mean, deviation = known.mean(0), known.std(0) + 1e-6
    known, asked = (known - mean) / deviation, (asked - mean) / deviation
    weights = torch.zeros(known.shape[1] + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=300)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = known @ weights[1:] + weights[0]
        value = torch.nn.functional.binary_cross_entropy_with_logits(logits, kinds)
        value = value + 1e-3 * weights[1:].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        said = asked @ weights[1:] + weights[0] > 0
    return float((said == truth.bool()).float().mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("run", type=Path, help="a run, for its augmentation")
    parser.add_argument("--crops", type=int, default=1000)
    chosen = parser.parse_args()
    store = Store(chosen.store)
    run = validated(read_document(chosen.run), TrainConfig, str(chosen.run))
    for name, augment in (("as they are", NO_AUGMENTATION), ("as training shows them", run.crops.augment)):
        print(f"{name}: {accuracy(store, chosen.crops, augment):.3f} of {chosen.crops} told apart")


if __name__ == "__main__":
    main()
