"""From a configuration to a trained checkpoint folder, resumable at any time."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from safetensors.torch import load_file, save_file

from histocerb._version import __version__
from histocerb.core.errors import UsageError
from histocerb.core.tasks import PRESETS, TaskSpec
from histocerb.data.batches import BatchDataset, loader
from histocerb.data.sampler import TaskSampler
from histocerb.data.splits import training_splits
from histocerb.data.store import Store
from histocerb.models.checkpoint import save_checkpoint
from histocerb.models.config import NETWORKS, NetworkConfig
from histocerb.models.network import Network
from histocerb.models.released import load_encoder
from histocerb.training.config import StageConfig, TrainConfig
from histocerb.training.journal import Journal
from histocerb.training.module import StageModule
from histocerb.training.validation import Validation, validate

log = logging.getLogger(__name__)

RESUME_FILE = "last.ckpt"
MODEL_FOLDER = "model"
REPORT_FILE = "validation.json"


def fit(config: TrainConfig, out: Path, callbacks: tuple[Callback, ...] = (), device: str = "auto") -> Path:
    """Train all stages of a configuration; what an earlier, interrupted run did is not done again.

    Args:
        config: the run.
        out: folder of the run. It gets `config.json`, `journal.csv`, one folder per stage, `validation.json`
            and `model`.
        callbacks: Lightning callbacks besides the journal.
        device: auto, cpu or cuda.

    Returns:
        The checkpoint folder.

    Raises:
        UsageError: an impossible configuration, or `out` holds a run of another one.
    """
    _claim(config, out)
    spec = _spec(config)
    torch.manual_seed(config.seed)
    network = Network(spec, network_config(config.network))
    if config.encoder_weights is not None:
        load_encoder(network, Path(config.encoder_weights))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    store = Store(Path(config.store))
    for number, stage in enumerate(config.stages):
        folder = out / f"stage-{number + 1}"
        done = folder / "weights.safetensors"
        if done.is_file():
            network.load_state_dict(load_file(done))
            continue
        log.info("stage %d of %d: %s", number + 1, len(config.stages), ", ".join(stage.heads))
        journal = Journal(out / "journal.csv")
        folder.mkdir(parents=True, exist_ok=True)
        watchers = (journal, Validation(store, config.validation), *callbacks)
        _fit_stage(network, config, stage, store, folder, watchers, device)
        save_file({key: value.contiguous() for key, value in network.state_dict().items()}, done)
        (folder / RESUME_FILE).unlink(missing_ok=True)
    network = network.cpu().eval()
    report = validate(network, store, config.validation)
    (out / REPORT_FILE).write_text(json.dumps(report, indent=1))
    facts = {"trained_with": f"histocerb {__version__}", "config": asdict(config)}
    save_checkpoint(out / MODEL_FOLDER, network, facts, half=config.half)
    return out / MODEL_FOLDER


def network_config(choice: str | NetworkConfig) -> NetworkConfig:
    """A network by name of its preset, or as it stands."""
    if isinstance(choice, NetworkConfig):
        return choice
    if choice not in NETWORKS:
        raise UsageError(f"there is no network {choice!r}; known are {', '.join(NETWORKS)}")
    return NETWORKS[choice]


def _spec(config: TrainConfig) -> TaskSpec:
    if config.tasks not in PRESETS:
        raise UsageError(f"there is no task preset {config.tasks!r}; known are {', '.join(PRESETS)}")
    spec = PRESETS[config.tasks]
    known = [head.name for head in spec.heads]
    named = [*config.loss_weights, *(name for stage in config.stages for name in stage.heads)]
    for name in named:
        if name not in known:
            raise UsageError(f"there is no head {name!r}; {spec.name} has {', '.join(known)}")
    return spec


def _claim(config: TrainConfig, out: Path) -> None:
    """Bind `out` to this configuration (paths of stores and progress settings may change)."""
    out.mkdir(parents=True, exist_ok=True)
    path, mine = out / "config.json", json.dumps(_binding(config), indent=1)
    if path.is_file() and path.read_text() != mine:
        raise UsageError(f"{out} holds a run of another configuration; remove it or choose another folder")
    path.write_text(mine)


def _binding(config: TrainConfig) -> dict[str, Any]:
    free = {"workers", "save_every"}
    return {key: value for key, value in asdict(config).items() if key not in free}


def _fit_stage(
    network: Network,
    config: TrainConfig,
    stage: StageConfig,
    store: Store,
    folder: Path,
    callbacks: tuple[Callback, ...],
    device: str,
) -> None:
    resume = folder / RESUME_FILE
    begin = _step_of(resume)
    module = StageModule(network, stage, config.loss_weights, config.seed)
    spec = network.spec.only(stage.heads)
    splits = training_splits(store.records, config.validation.split)
    sampler = TaskSampler(store, splits, stage.sampler or config.sampler, spec)
    dataset = BatchDataset(store, sampler, config.seed, stage.crops or config.crops, spec)
    batches = loader(dataset, _Steps(begin, stage.steps), workers=config.workers)
    saver = ModelCheckpoint(
        dirpath=folder,
        filename=Path(RESUME_FILE).stem,
        every_n_train_steps=config.save_every,
        enable_version_counter=False,
        save_top_k=1,
    )
    with warnings.catch_warnings():
        # Lightning's own use of deprecated torch names, and its advice (workers, folders, eval mode).
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", module=r"lightning\.")
        trainer = _trainer(stage, saver, callbacks, folder, device)
        trainer.fit(module, batches, ckpt_path=resume if begin else None, weights_only=True)
    if module.global_step < stage.steps:
        raise KeyboardInterrupt


@dataclass(frozen=True)
class _Steps(Sequence[int]):
    """Steps that are left. Its length is that of the whole stage: Lightning counts those done as fetched."""

    begin: int
    end: int

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.begin, self.end))

    def __len__(self) -> int:
        return self.end

    def __getitem__(self, index: Any) -> Any:
        return range(self.begin, self.end)[index]


def _trainer(
    stage: StageConfig, saver: Callback, callbacks: tuple[Callback, ...], folder: Path, device: str
) -> pl.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    return pl.Trainer(
        accelerator={"cuda": "gpu"}.get(device, device),
        devices=1,
        max_steps=stage.steps,
        callbacks=[saver, *callbacks],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


def _step_of(resume: Path) -> int:
    if not resume.is_file():
        return 0
    return int(torch.load(resume, map_location="cpu", weights_only=True)["global_step"])
