"""What a training run is: read from TOML, saved with the run."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from histocerb.core.config_file import STRICT
from histocerb.data.batches import CropParams
from histocerb.data.sampler import SamplerParams
from histocerb.data.splits import VALID
from histocerb.models.config import NetworkConfig


@dataclass(frozen=True, config=STRICT)
class StageConfig:
    """One stretch of training with an optimiser of its own.

    Attributes:
        heads: heads that learn; all others stay bit-identical.
        freeze: True: only the decoders of `heads` learn (subtyping, paper section 3.3.2).
            False: the encoder learns too.
        steps: optimiser steps.
        lr: learning rate of Adam.
        schedule: `step`: divided by 10 after 7/9 of the steps, as in the paper; `cosine`: to 1 % of it, after
            a linear rise over the first 3 %.
        sampler: how its batches are drawn, where that differs from the rest of the run.
        crops: what its samples look like, where that differs from the rest of the run.
    """

    heads: tuple[str, ...]
    steps: int = Field(gt=0)
    freeze: bool = False
    lr: float = Field(default=1e-3, gt=0)
    schedule: Literal["step", "cosine"] = "step"
    sampler: SamplerParams | None = None
    crops: CropParams | None = None


@dataclass(frozen=True, config=STRICT)
class ValidationConfig:
    """When and on how much a run is checked; whole images with the real post-processing.

    Attributes:
        split: samples that are held out; all others but external tests are trained on.
        every: steps between two checks; 0: only at the end of the last stage.
        images: at most so many validation images per source.
    """

    split: str = VALID
    every: int = Field(default=0, ge=0)
    images: int = Field(default=16, gt=0)


@dataclass(frozen=True, config=STRICT)
class TrainConfig:
    """A training run.

    Attributes:
        name: of the run and of its folder.
        store: data store, relative to the working folder.
        stages: in order.
        network: name of a preset of `models.config.NETWORKS`, or a table of its own.
        tasks: name of a task preset.
        encoder_weights: torchvision-style ResNet weights to begin with.
        loss_weights: weight of each head's loss, default 1.
        sampler: how batches are drawn.
        crops: what samples look like: size, targets, augmentation.
        validation: when and on how much the run is checked.
        seed: of weights, sampling and augmentation.
        workers: loader processes; results do not depend on it.
        save_every: steps between two points from which the run can be resumed.
        half: store the weights as float16.
    """

    name: str
    store: str
    stages: tuple[StageConfig, ...]
    network: str | NetworkConfig = "resnet34"
    tasks: str = "cerberus"
    encoder_weights: str | None = None
    loss_weights: dict[str, float] = field(default_factory=dict)
    sampler: SamplerParams = field(default_factory=SamplerParams)
    crops: CropParams = field(default_factory=CropParams)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    seed: int = 0
    workers: int = Field(default=1, ge=0)
    save_every: int = Field(default=200, gt=0)
    half: bool = False
