"""From a configuration to a trained checkpoint folder, resumable at any time."""

from __future__ import annotations

import json
import logging
from collections.abc import Set
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from histocerb._version import __version__
from histocerb.core.config_file import validated
from histocerb.core.errors import OutputError, UsageError
from histocerb.data.splits import training_splits
from histocerb.data.store import Store
from histocerb.models.checkpoint import load_checkpoint, save_checkpoint
from histocerb.models.network import Network
from histocerb.training.averaging import check_averages, mean_of
from histocerb.training.begin import first_network
from histocerb.training.config import TrainConfig, binding, trained_heads
from histocerb.training.curves import draw_curves
from histocerb.training.distributed import Team, team_of
from histocerb.training.facts import run_facts, weights_facts
from histocerb.training.files import alone_in, become, writing
from histocerb.training.frequencies import adjust, check_frequencies, told
from histocerb.training.hardware import Hardware, find_hardware
from histocerb.training.journal import Journal
from histocerb.training.scalars import scalar_sinks
from histocerb.training.stage import DONE_FILE, RESUME_FILE, Place, stage_sampler, train_stage
from histocerb.training.validation import calibrate_on, curves_file, journal_values, validate

log = logging.getLogger(__name__)

CONFIG_FILE = "config.json"
FACTS_FILE = "facts.json"
JOURNAL_FILE = "journal.csv"
REPORT_FILE = "validation.json"
MODEL_FOLDER = "model"


def fit(config: TrainConfig, out: Path, callbacks: tuple[Callback, ...] = (), device: str = "auto") -> Path:
    """Train all stages of a configuration; what an earlier, interrupted run did is not done again.

    Args:
        config: the run.
        out: folder of the run. It gets `config.json`, `facts.json`, `journal.csv`, `curves.png`, one folder
            per stage, `pictures`, `validation.json` and `model`.
        callbacks: Lightning callbacks besides those of the run.
        device: auto, cpu, mps, cuda or cuda:N.

    Returns:
        The checkpoint folder.

    Raises:
        UsageError: an impossible configuration, or `out` holds a run of another one, on other data or from
            other weights.
        OutputError: `out` cannot be written, holds a damaged file, or another process trains in it.
        HistocerbError: a loss is not finite.
    """
    store, hardware = Store(Path(config.store)), find_hardware(device, config.devices)
    facts = run_facts(store, config.seed) | {"weights": weights_facts(config)}
    _check_claim(config, facts, out)
    if (out / REPORT_FILE).is_file() and (out / MODEL_FOLDER).is_dir():  # the report is written last
        log.info("%s is done already", out)
        return out / MODEL_FOLDER
    hardware.prepare(config.precision)
    network = first_network(config)
    check_frequencies(config, network.spec)
    check_averages(config)
    for stage in config.stages:
        stage_sampler(network, config, store, stage)
    before = told(load_checkpoint(config.start_from)) if config.start_from else {}
    with alone_in(out):
        _claim(config, facts, out)
        with team_of(config.devices, _train_beside, (config, out, hardware)) as team:
            _train(network, config, _place(config, store, out, hardware, team, callbacks))
        return _finish(network.cpu().eval(), config, store, facts | {"frequencies": before}, out)


def _train_beside(team: Team, config: TrainConfig, out: Path, hardware: Hardware) -> None:
    """What the other processes of a run with several devices do."""
    hardware.prepare(config.precision)
    place = _place(config, Store(Path(config.store)), out, hardware, team, ())
    _train(first_network(config), config, place)


def _place(
    config: TrainConfig,
    store: Store,
    out: Path,
    hardware: Hardware,
    team: Team,
    callbacks: tuple[Callback, ...],
) -> Place:
    sinks = scalar_sinks(config.logger, out) if team.leads else ()
    journal = Journal(out / JOURNAL_FILE, tuple(stage.steps for stage in config.stages), sinks)
    return Place(1, store, out, journal, hardware, team, callbacks)


def _train(network: Network, config: TrainConfig, first: Place) -> None:
    """All stages that are not done."""
    for number, stage in enumerate(config.stages, start=1):
        place = replace(first, number=number)
        done = place.folder / DONE_FILE
        if done.is_file():
            network.load_state_dict(_kept(done))
            continue
        if place.team.leads:
            log.info("stage %d of %d: %s", number, len(config.stages), ", ".join(stage.heads))
        train_stage(network, config, place)
        if stage.average_last > 1:
            earlier = range(number - stage.average_last + 1, number)
            ends = [_end(config, first.out, each) for each in earlier]
            network.load_state_dict(mean_of([*ends, network.state_dict()]))
        if place.team.leads:
            _keep(network, done)
            (place.folder / RESUME_FILE).unlink(missing_ok=True)


def _end(config: TrainConfig, out: Path, number: int) -> dict[str, Tensor]:
    """Weights with which a stage ended; of stage 0, those that the run began with."""
    if number == 0:
        return first_network(config).state_dict()
    return _kept(out / f"stage-{number}" / DONE_FILE)


def _kept(path: Path) -> dict[str, Tensor]:
    """The weights that `_keep` wrote.

    Raises:
        OutputError: the file is damaged.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise OutputError(
            f"{path}: expected the weights with which the stage ended, found a damaged file; "
            "remove it, and the stage begins anew"
        ) from error


def _finish(network: Network, config: TrainConfig, store: Store, facts: dict[str, Any], out: Path) -> Path:
    """Write the checkpoint, validate, draw the curves.

    Of `start_from`, which may be another by now, `facts` say what the run began with.
    """
    origin = {"trained_with": f"histocerb {__version__}", "git": facts["git"], "data": facts["data"]}
    origin |= {"config": asdict(config)}
    if config.start_from:
        origin["started_from"] = facts["weights"]["start_from"]
    if frequencies := _told_frequencies(network, config, store, facts["frequencies"]):
        origin["frequencies"] = frequencies
    if config.calibrate:
        fitted = calibrate_on(network, store, config.validation)
        origin["calibration"] = {task: asdict(fit) for task, fit in fitted.items()}
    sha256 = save_checkpoint(out / MODEL_FOLDER, network, origin, half=config.half)
    report = validate(network, store, config.validation)
    steps = tuple(stage.steps for stage in config.stages)
    journal, last = Journal(out / JOURNAL_FILE, steps), (len(steps), steps[-1])
    written = {row.name for row in journal.rows() if (row.stage, row.step) == last}
    values = {name: value for name, value in journal_values(report).items() if name not in written}
    journal.write(*last, values)
    about = {
        "model": {"path": str(out / MODEL_FOLDER), "sha256": sha256},
        "data": {**facts["data"], "splits": [config.validation.split]},
    }
    draw_curves(journal, curves_file(journal))
    with writing(out):
        _write_json(out / REPORT_FILE, {**report, **about})
    return out / MODEL_FOLDER


def _told_frequencies(
    network: Network, config: TrainConfig, store: Store, before: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Tell the trained type heads how frequent classes are, if they shall know; what all were told."""
    trained = trained_heads(config)
    frequencies = {name: shares for name, shares in before.items() if name not in trained}
    if config.natural_frequencies:
        splits = training_splits(store.records, config.validation.split)
        records = [record for record in store.records if record.split in splits]
        frequencies |= adjust(network, records, trained)
    return frequencies


def _check_claim(config: TrainConfig, facts: dict[str, Any], out: Path) -> None:
    """`out` is not bound to another configuration (but for `config.FREE`), other data or other weights.

    Weights that both know by their sha256 may lie elsewhere by now.
    """
    path, found = out / CONFIG_FILE, out / FACTS_FILE
    began = _told_facts(found) if found.is_file() else {}
    weights = began.get("weights", {})
    if path.is_file() and not _same(config, path, weights.keys() & facts["weights"].keys()):
        raise UsageError(f"{out} holds a run of another configuration; remove it or choose another folder")
    if began:
        data = began["data"]["fingerprint"]
        if data != facts["data"]["fingerprint"]:
            raise UsageError(
                f"expected the data that the run in {out} began with ({data[:12]}), found "
                f"{facts['data']['fingerprint'][:12]} in {config.store}; choose another folder"
            )
        _check_weights(weights, facts["weights"], out)


def _told_facts(path: Path) -> dict[str, Any]:
    """What a run began with.

    Raises:
        OutputError: the file is damaged.
    """
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OutputError(
            f"{path}: expected what the run began with, found a damaged file; remove it if data and weights "
            "are those that it began with, else the whole folder"
        ) from error
    return facts


def _check_weights(began: dict[str, str], now: dict[str, str], out: Path) -> None:
    """Weights that a run begins with stay as they are; earlier versions did not note which they were."""
    for key, sha256 in now.items():
        if began.get(key, sha256) != sha256:
            raise UsageError(
                f"expected the weights of {key} that the run in {out} began with ({began[key][:12]}), found "
                f"{sha256[:12]}; choose another folder"
            )


def _claim(config: TrainConfig, facts: dict[str, Any], out: Path) -> None:
    """Bind `out` to this configuration and this data."""
    with writing(out):
        _write_json(out / CONFIG_FILE, asdict(config))
        _write_json(out / FACTS_FILE, facts)


def _same(config: TrainConfig, path: Path, known: Set[str]) -> bool:
    """Whether the run described in `path` has the same result. What it does not say has its default.

    `known` are keys of files that were told apart by what is in them.
    """
    try:
        other = validated(json.loads(path.read_text(encoding="utf-8")), TrainConfig, str(path))
    except (UsageError, ValueError):
        return False
    one, two = binding(config), binding(other)
    return all(one[key] == two[key] for key in one.keys() - known)


def _write_json(path: Path, document: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    become(temporary, path)


def _keep(network: Network, path: Path) -> None:
    """Weights of a stage; the file appears whole or not at all."""
    blob = save({key: value.contiguous() for key, value in network.state_dict().items()})
    temporary = path.with_suffix(".tmp")
    with writing(path.parent):
        temporary.write_bytes(blob)
        become(temporary, path)
