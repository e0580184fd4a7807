"""The Python interface: a model, what it sees in an image, and what is on a slide."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from histocerb.core.errors import UsageError
from histocerb.core.tasks import TaskSpec
from histocerb.inference.compute import AUTO, Compute, resolve
from histocerb.inference.device_pool import DevicePool
from histocerb.inference.manifest import Manifest, RunningModel
from histocerb.inference.maps import predict_maps
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.predictor import make_predictor
from histocerb.inference.progress import Progress, no_progress
from histocerb.inference.protocol import Predictor
from histocerb.inference.slide import SlideResult, segment_slide
from histocerb.models.checkpoint import load_checkpoint
from histocerb.models.config import STRIDE
from histocerb.slides.reader import open_slide

DEFAULT_MODEL = "default"


@dataclass(frozen=True)
class Model:
    """A network on a device.

    Attributes:
        running: the network as the slide engine takes it.
    """

    running: RunningModel

    @property
    def spec(self) -> TaskSpec:
        """Its tasks, heads and classes."""
        return self.running.spec

    def predict(
        self, image: npt.NDArray[np.uint8], margin_px: int | None = None
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Probabilities of every head for an image in memory.

        Args:
            image: H x W x 3 uint8 RGB at the working resolution (0.5 um/px).
            margin_px: None: any size; the image is cut into the windows of `segment` and mirrored at its
                border. A number: one plain forward pass, from whose result that margin is cut off; sides
                must be multiples of 16, and the margin less than half the shorter one.

        Returns:
            Per head name H x W x C float32; for tissue one row and column per cell of 144 px.

        Raises:
            UsageError: Another kind of array, or sides or a margin that do not fit.
        """
        _check_image(image, margin_px)
        margin_px = None if margin_px is None else int(margin_px)  # numbers of numpy overflow
        return predict_maps(image, self.running.predictor, self.spec, margin_px)


@dataclass(frozen=True)
class ModelSource:
    """What to load where the work is done: on the nodes of a cluster.

    Attributes:
        name: a packaged model, or a checkpoint folder that all nodes see.
        device: auto, cpu, cuda or cuda:0.
        precision: fp32, bf16, fp16 or auto.
        batch: windows on a GPU at a time, or auto.
    """

    name: str
    device: str
    precision: str = AUTO
    batch: str = AUTO

    def __call__(self) -> RunningModel:
        """Load it."""
        return load_model(self.name, self.device, self.precision, self.batch).running


@dataclass(frozen=True)
class Segmentation:
    """What is on a slide.

    Attributes:
        objects: one row per nucleus, gland and lumen.
        tissue: one row per cell of 72 um.
        manifest: slide, model, counts, areas, seconds.
        folder: the result folder, or None where nothing was kept.
    """

    objects: pa.Table
    tissue: pa.Table
    manifest: Manifest
    folder: Path | None = None


def load_model(
    name: str | Path = DEFAULT_MODEL,
    device: str | torch.device = AUTO,
    precision: str = AUTO,
    batch: str | int = AUTO,
) -> Model:
    """Load a model and put it on a device.

    Args:
        name: A packaged model, or a checkpoint folder.
        device: auto, cpu, cuda, cuda:0, cuda:all, or several with commas: then each gets a process, and a
            script must call this below `if __name__ == "__main__":`.
        precision: fp32, bf16, fp16 or auto: bf16 on a GPU, else fp32.
        batch: windows on a GPU at a time, or auto. Results do not depend on it.

    Raises:
        CheckpointError: There is no such model, or it is damaged.
        UsageError: There is no such device, or an option has no effect on it.
        HistocerbError: The process of a device ended while it loaded the model.
    """
    compute = resolve(device, precision, batch)
    checkpoint = load_checkpoint(name)
    running = RunningModel(
        checkpoint.name,
        checkpoint.sha256,
        checkpoint.network.spec,
        _pool(name, compute) if len(compute.devices) > 1 else make_predictor(checkpoint.network, compute),
        compute.arithmetic,
        compute.batch * len(compute.devices),
    )
    if isinstance(running.predictor, DevicePool):
        running = replace(running, pids=tuple(running.predictor.pids))
    return Model(running)


def _pool(name: str | Path, compute: Compute) -> DevicePool:
    alone = [replace(compute, devices=(device,)) for device in compute.devices]
    return DevicePool([partial(_predictor, name, one) for one in alone])


def _predictor(name: str | Path, compute: Compute) -> Predictor:
    """What a process of a device computes with."""
    return make_predictor(load_checkpoint(name).network, compute)


def segment(
    source: str | Path | npt.NDArray[np.uint8],
    model: Model,
    *,
    mpp: float | None = None,
    out: str | Path | None = None,
    settings: WorkSettings | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Segmentation:
    """Find everything on a slide.

    Args:
        source: A slide or image file, or an H x W x 3 array.
        model: From `load_model`.
        mpp: Micrometres per pixel; needed for arrays and files that do not say it.
        out: Result folder of this slide; None keeps nothing on disk.
        settings: How the work is laid out; the result does not depend on it.
        overwrite: Replace a complete result in `out`.
        progress: Told how far it is.

    Raises:
        SlideError: The slide cannot be read; `ResolutionError` where its resolution is unknown.
        OutputError: `out` cannot be written.
    """
    slide = open_slide(source, mpp)
    try:
        if out is not None:
            folder = Path(out)
            found = segment_slide(
                slide, model.running, folder, settings, overwrite=overwrite, progress=progress
            )
            return _in_memory(found, folder)
        with tempfile.TemporaryDirectory(prefix="histocerb-") as place:
            return _in_memory(
                segment_slide(slide, model.running, Path(place) / "slide", settings, progress=progress), None
            )
    finally:
        slide.close()


def _in_memory(result: SlideResult, folder: Path | None) -> Segmentation:
    return Segmentation(result.objects, result.tissue, result.manifest, folder)


def _check_image(image: object, margin_px: int | None) -> None:
    if not isinstance(image, np.ndarray):
        raise UsageError(
            f"Expected an image as an array of H x W x 3 uint8, found {type(image).__name__}; "
            "convert it with numpy.asarray(image, numpy.uint8)."
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UsageError(
            f"Expected an image of H x W x 3 uint8, found {image.dtype} {image.shape}; "
            "convert it to 8-bit RGB at 0.5 um/px."
        )
    height, width = image.shape[:2]
    if margin_px is not None and (height % STRIDE or width % STRIDE):
        below, right = -height % STRIDE, -width % STRIDE
        raise UsageError(
            f"A plain pass expects sides that are multiples of {STRIDE}, found {width} x {height}; "
            f"pad to {width + right} x {height + below}, or leave out margin_px."
        )
    if margin_px is not None:
        _check_margin(margin_px, width, height)


def _check_margin(margin_px: object, width: int, height: int) -> None:
    if not isinstance(margin_px, int | np.integer) or not 0 <= 2 * int(margin_px) < min(width, height):
        raise UsageError(
            "Expected a margin_px that is a whole number from 0 to below half the shorter side of "
            f"{width} x {height}, found {margin_px!r}; choose one of these, or leave it out."
        )
