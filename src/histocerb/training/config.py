"""What a training run is: read from TOML, saved with the run."""

from __future__ import annotations

from dataclasses import asdict, field
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from histocerb.core.config_file import STRICT
from histocerb.data.batches import CropParams
from histocerb.data.sampler import SamplerParams
from histocerb.data.splits import VALID
from histocerb.models.config import NetworkConfig

Precision = Literal[32, "bf16"]


@dataclass(frozen=True, config=STRICT)
class StageConfig:
    """One stretch of training with an optimiser of its own.

    Attributes:
        heads: heads that learn; all others stay bit-identical.
        steps: optimiser steps.
        freeze: True: only the decoders of `heads` learn (subtyping, paper section 3.3.2).
            False: the encoder learns too.
        optimizer: `adam`, the paper's, whose weight decay is an L2 penalty; or `adamw`, whose is none.
        lr: learning rate at its highest.
        weight_decay: on the weights of convolutions; biases and normalisation have none.
        schedule: `step`: divided by 10 after 7/9 of the steps, as in the paper; `cosine`: to 1 % of it;
            `constant`.
        warmup: share of the steps in which the learning rate rises linearly; None: 3 % with `cosine`, else 0.
        clip_norm: longer gradients (L2 norm over all that learns) are shortened to it; 0: never.
        accumulate: batches per step; its gradient is the mean of theirs.
        ema: decay per step of the running mean of the weights, which is then what is validated and kept; 0:
            none.
        average_last: at its end the network gets the mean of the weights with which this many stages ended,
            this one the last of them; those of a `start_from` count as the end of a stage before the first.
        sampler: how its batches are drawn, in place of what the run says; nothing of that is kept.
        crops: what its samples look like, likewise.
    """

    heads: tuple[str, ...] = Field(min_length=1)
    steps: int = Field(gt=0)
    freeze: bool = False
    optimizer: Literal["adam", "adamw"] = "adam"
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0, ge=0)
    schedule: Literal["step", "cosine", "constant"] = "step"
    warmup: float | None = Field(default=None, ge=0, lt=1)
    clip_norm: float = Field(default=0, ge=0)
    accumulate: int = Field(default=1, ge=1)
    ema: float = Field(default=0, ge=0, lt=1)
    average_last: int = Field(default=1, ge=1)
    sampler: SamplerParams | None = None
    crops: CropParams | None = None


@dataclass(frozen=True, config=STRICT)
class ValidationConfig:
    """When and on how much a run is checked; whole images with the real post-processing.

    Attributes:
        split: samples that are held out; all others but external tests are trained on.
        every: steps between two checks; 0: only at the end of the last stage.
        images: at most so many validation images per source, in the order of a hash of their names.
    """

    split: str = VALID
    every: int = Field(default=0, ge=0)
    images: int = Field(default=16, gt=0)


@dataclass(frozen=True, config=STRICT)
class PostprocChange:
    """Constants of post-processing that differ from those of the task preset, which has the released ones.

    All are at 0.5 um per pixel; None: as in `start_from`, where it has the task, or else as in the preset.
    They become part of the model. A temperature of `start_from` is 1 again where the run changes the answers
    that it was fitted to.

    Attributes:
        outer_contour: whether contours of targets reach beyond objects, as in the preset; a run that changes
            it trains the instance head.
        threshold: on inside + contour (nuclei), or on inside without contour (glands, lumina).
        min_area_px: smaller components are dropped.
        min_marker_px: smaller markers are dropped (nuclei).
        marker_threshold: on inside, for the markers (nuclei).
        split_thresholds: on inside, rising; what holds several parts above one is divided among these.
        split_px: smaller parts do not count for that.
        class_temperature: of `class_prob`, from another run that had images to calibrate on.
    """

    outer_contour: bool | None = None
    threshold: float | None = Field(default=None, gt=0, lt=1)
    min_area_px: int | None = Field(default=None, ge=0)
    min_marker_px: int | None = Field(default=None, ge=0)
    marker_threshold: float | None = Field(default=None, gt=0, lt=1)
    split_thresholds: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = None
    split_px: int | None = Field(default=None, ge=0)
    class_temperature: float | None = Field(default=None, gt=0)


@dataclass(frozen=True, config=STRICT)
class TrainConfig:
    """A training run.

    Attributes:
        name: of the run and of its folder.
        store: data store, relative to the working folder.
        stages: in order. The model has the heads that a stage trains, and those of `start_from`.
        network: name of a preset of `models.config.NETWORKS`, or a table of its own.
        tasks: name of a task preset.
        start_from: checkpoint folder or packaged model whose weights the network begins with, and whose
            constants of post-processing it keeps; heads that it does not have are new.
        encoder_weights: published weights that a new encoder begins with; see `models.pretrained`.
        loss_weights: weight of each head's loss, default 1.
        subtyping_loss: of type heads: `masked_ce_dice`, `ce_dice` or `ce` (paper table 7).
        natural_frequencies: at the end, tell the type heads that were trained how frequent classes are; needs
            `masked_ce_dice`, from which they learn as if all were equally frequent (see `frequencies`).
        sampler: how batches are drawn.
        crops: what samples look like: size, targets, augmentation.
        validation: when and on how much the run is checked.
        postproc: per task that finds objects, changes to its post-processing.
        calibrate: at the end, fit temperatures to the validation images, so that `class_prob` and the
            probabilities of tissue classes mean what they say.
        seed: of weights, sampling and augmentation.
        precision: 32, or `bf16` for the network's arithmetic (weights and losses stay float32).
        devices: processes that share each batch; on GPUs one per GPU. Results do not depend on it but for
            rounding.
        workers: loader processes of each device, None: 1, on a GPU up to 8; results do not depend on it.
        save_every: steps between two points from which the run can be resumed.
        logger: `csv`, or `tensorboard` for event files too.
        pictures_every: steps between two pictures of samples, truth and prediction; 0: none.
        half: store the weights as float16.
    """

    name: str
    store: str
    stages: tuple[StageConfig, ...] = Field(min_length=1)
    network: str | NetworkConfig = "resnet34"
    tasks: str = "cerberus"
    start_from: str | None = None
    encoder_weights: str | None = None
    loss_weights: dict[str, Annotated[float, Field(ge=0)]] = field(default_factory=dict)
    subtyping_loss: Literal["masked_ce_dice", "ce_dice", "ce"] = "masked_ce_dice"
    natural_frequencies: bool = False
    sampler: SamplerParams = field(default_factory=SamplerParams)
    crops: CropParams = field(default_factory=CropParams)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    postproc: dict[str, PostprocChange] = field(default_factory=dict)
    calibrate: bool = False
    seed: int = Field(default=0, ge=0, lt=2**31)
    precision: Precision = 32
    devices: int = Field(default=1, ge=1)
    workers: int | None = Field(default=None, ge=0)
    save_every: int = Field(default=200, gt=0)
    logger: Literal["csv", "tensorboard"] = "csv"
    pictures_every: int = Field(default=0, ge=0)
    half: bool = False


FREE = frozenset({"store", "devices", "workers", "save_every", "logger", "pictures_every"})
"""Keys that may change between interruption and resume. (What is in the store may not; see `facts`.)"""


def binding(config: TrainConfig) -> dict[str, Any]:
    """What a run folder is bound to: all that its result depends on."""
    return {key: value for key, value in asdict(config).items() if key not in FREE}


def trained_heads(config: TrainConfig) -> set[str]:
    """Heads that some stage trains."""
    return {name for stage in config.stages for name in stage.heads}
