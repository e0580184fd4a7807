"""One stage of a run: what it trains on, with what, and where it can be resumed."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader

from histocerb.core.errors import OutputError, UsageError
from histocerb.data.batches import Batch, BatchDataset, loader
from histocerb.data.sampler import TaskSampler
from histocerb.data.splits import training_splits
from histocerb.data.store import Store
from histocerb.models.network import Network
from histocerb.training.alarms import heads_without_samples
from histocerb.training.config import StageConfig, TrainConfig
from histocerb.training.distributed import ALONE, Team
from histocerb.training.files import writing
from histocerb.training.hardware import Hardware
from histocerb.training.journal import Journal
from histocerb.training.module import StageModule
from histocerb.training.pictures import Pictures
from histocerb.training.shared_norm import share
from histocerb.training.steps import AfterStep, Listener, Saver
from histocerb.training.validation import Validation
from histocerb.training.watch import TimedLoader, Watch

log = logging.getLogger(__name__)

RESUME_FILE = "last.ckpt"
DONE_FILE = "weights.safetensors"
_APART = 2**31
"""Between the seeds of two stages, which draw other samples; seeds of runs are smaller."""
_LEAST_PATCHES = 2
"""Batch normalisation of cells, one value per sample and channel, has no variance of one."""
_PATIENCE = timedelta(hours=1)
"""How long processes wait for the one that validates."""


@dataclass(frozen=True)
class Place:
    """Where a stage of a run is trained.

    Attributes:
        number: of the stage, from 1.
        store: data.
        out: folder of the run.
        journal: of the run.
        hardware: what computes.
        team: processes that share the batches.
        callbacks: of the caller.
    """

    number: int
    store: Store
    out: Path
    journal: Journal
    hardware: Hardware
    team: Team = ALONE
    callbacks: tuple[Callback, ...] = ()

    @property
    def folder(self) -> Path:
        """Folder of the stage."""
        return self.out / f"stage-{self.number}"


def train_stage(network: Network, config: TrainConfig, place: Place) -> None:
    """Train one stage; `network` has its weights afterwards.

    Raises:
        KeyboardInterrupt: the user stopped it.
        OutputError: what an interrupted run saved is damaged, or the folder cannot be written.
        HistocerbError: a loss is not finite.
    """
    stage = config.stages[place.number - 1]
    resume = place.folder / RESUME_FILE
    begin = steps_done(place.folder, stage.steps)
    if place.team.leads:
        with writing(place.out):
            place.folder.mkdir(parents=True, exist_ok=True)
            place.journal.cut(place.number, begin)
        _warn_of_gaps(network, config, place)
    if place.team.size > 1:
        share(network, norm=place.hardware.kind == "cpu")
    module = stage_module(network, config, place)
    batches = TimedLoader(stage_batches(network, config, place, begin))
    steps = AfterStep(_listeners(config, place, batches))
    with quiet_lightning():
        trainer = make_trainer(config, place, stage.steps, (steps, *place.callbacks))
        trainer.fit(module, batches, ckpt_path=resume if begin else None, weights_only=True)
    if module.global_step < stage.steps:
        raise KeyboardInterrupt
    if module.mean is not None:
        module.mean.apply()


def stage_module(network: Network, config: TrainConfig, place: Place) -> StageModule:
    """The stage, ready for a trainer."""
    stage = config.stages[place.number - 1]
    return StageModule(
        network,
        stage,
        config.loss_weights,
        config.seed,
        config.subtyping_loss,
        config.precision,
        place.team,
    )


def stage_batches(network: Network, config: TrainConfig, place: Place, begin: int = 0) -> DataLoader[Batch]:
    """The batches after step `begin`, or this process's part of them."""
    stage, team = config.stages[place.number - 1], place.team
    sampler = stage_sampler(network, config, place.store, stage)
    crops, spec = stage.crops or config.crops, network.spec.only(stage.heads)
    seed = config.seed + _APART * (place.number - 1)
    dataset = BatchDataset(place.store, sampler, seed, crops, spec, (team.rank, team.size))
    steps = _Steps(begin * stage.accumulate, stage.steps * stage.accumulate)
    workers = place.hardware.workers(team.size) if config.workers is None else config.workers
    return loader(dataset, steps, workers=workers, pin_memory=place.hardware.kind == "cuda")


def make_trainer(
    config: TrainConfig, place: Place, steps: int, callbacks: tuple[Callback, ...]
) -> pl.Trainer:
    """Lightning's trainer for that many steps of a stage; it writes nothing by itself."""
    stage, team, hardware = config.stages[place.number - 1], place.team, place.hardware
    shared, on_gpu = team.size > 1, hardware.kind == "cuda"
    ddp = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False, timeout=_PATIENCE)
    return pl.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices(team.size),
        strategy=ddp if shared else "auto",
        plugins=[LightningEnvironment()],  # not that of a SLURM job, whose tasks are no team of ours
        sync_batchnorm=shared and on_gpu,
        benchmark=on_gpu and config.precision == "bf16",
        max_steps=steps,
        accumulate_grad_batches=stage.accumulate,
        gradient_clip_val=stage.clip_norm or None,
        callbacks=list(callbacks),
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=place.folder,
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's advice (workers, folders, eval mode) and its use of deprecated torch names.

    Raises:
        KeyboardInterrupt: the user stopped it. Lightning would exit with status 1, deaf to further Ctrl-C.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    before = signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", module=r"lightning\.")
        try:
            yield
        except SystemExit:
            signal.signal(signal.SIGINT, before)
            raise KeyboardInterrupt from None


def stage_sampler(network: Network, config: TrainConfig, store: Store, stage: StageConfig) -> TaskSampler:
    """What makes up the batches of a stage.

    Raises:
        UsageError: a split or source that the store lacks, or too few samples in a batch.
        DataError: no sample has a label for a head of the stage.
    """
    splits = training_splits(store.records, config.validation.split)
    sampler = TaskSampler(store, splits, stage.sampler or config.sampler, network.spec.only(stage.heads))
    if sampler.params.batch_size < config.devices:
        raise UsageError(
            f"expected a batch_size of at least {config.devices}, one sample per device, "
            f"found {sampler.params.batch_size}; raise it or lower devices"
        )
    patch = network.spec.only(stage.heads).patch
    if sampler.params.batch_size < _LEAST_PATCHES and patch is not None and sampler.pool(patch.name):
        raise UsageError(
            f"expected a batch_size of at least {_LEAST_PATCHES} to train {patch.heads[0].name}, "
            f"found {sampler.params.batch_size}; raise it or leave that head out"
        )
    return sampler


def _warn_of_gaps(network: Network, config: TrainConfig, place: Place) -> None:
    stage = config.stages[place.number - 1]
    sampler = stage_sampler(network, config, place.store, stage)
    for head in heads_without_samples(place.store, sampler, network.spec.only(stage.heads)):
        log.warning("%s will not learn: no training sample has a label for it", head)


def _listeners(config: TrainConfig, place: Place, batches: TimedLoader) -> list[Listener]:
    """In order; what writes files is for one process only."""
    watch = Watch(place.journal, batches, place.number)
    saver = Saver(place.folder / RESUME_FILE, config.save_every)
    if not place.team.leads:
        return [watch, saver]
    validation = Validation(place.store, config.validation, place.journal, place.number)
    pictures = Pictures(place.out / "pictures", place.number, config.pictures_every)
    return [watch, validation, *([pictures] if config.pictures_every else []), saver]


@dataclass(frozen=True)
class _Steps(Sequence[int]):
    """Batches that are left. Its length is that of the stage: Lightning counts those done as fetched."""

    begin: int
    end: int

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.begin, self.end))

    def __len__(self) -> int:
        return self.end

    def __getitem__(self, index: Any) -> Any:
        return range(self.begin, self.end)[index]


def steps_done(folder: Path, steps: int) -> int:
    """How many of its `steps` the stage in `folder` has made and saved.

    Raises:
        OutputError: what it saved is damaged.
    """
    if (folder / DONE_FILE).is_file():
        return steps
    resume = folder / RESUME_FILE
    if not resume.is_file():
        return 0
    try:
        return int(torch.load(resume, map_location="cpu", weights_only=True)["global_step"])
    except MemoryError:
        raise
    except Exception as error:  # whatever damaged bytes make of a reader
        raise OutputError(
            f"{resume}: expected a point to go on from, found a damaged file; "
            "remove it, and the stage begins anew"
        ) from error
