"""`histocerb experiment`: grids of training runs, and their tables."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histocerb.cli.console import ExitCode, say, table
from histocerb.core.errors import UsageError

if TYPE_CHECKING:
    from histocerb.training.experiment.plan import Experiment

app = typer.Typer(
    help="Rows of a table x folds: train, evaluate, compare with the paper.", rich_markup_mode=None
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an experiment (--out of its run).")]


@app.command()
def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The experiment; see configs/paper.")],
    out: Annotated[Path | None, typer.Option(help="Folder of its runs [runs/NAME].")] = None,
    devices: Annotated[str, typer.Option(help="cpu, or GPUs such as cuda:0,cuda:1; auto: all.")] = "auto",
    only: Annotated[list[str] | None, typer.Option(metavar="ROW", help="This row only; repeatable.")] = None,
) -> None:
    """Train and evaluate all runs of an experiment and print its table; interrupted runs go on."""
    from histocerb.training.experiment.data import on_store
    from histocerb.training.experiment.files import read_experiment
    from histocerb.training.experiment.process import launch
    from histocerb.training.experiment.run import run_experiment, write_table

    logging.getLogger("histocerb.training.experiment").setLevel(logging.INFO)
    chosen = _devices(devices)
    experiment = on_store(read_experiment(config))
    folder = out or Path("runs") / experiment.name
    complete = run_experiment(experiment, folder, chosen, launch, tuple(only or ()))
    say(write_table(experiment, folder))
    say(f"table: {folder / 'tables' / experiment.name}.md, .csv and .json")
    if not complete:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def status(folder: Folder) -> None:
    """Say how far each run is."""
    from histocerb.training.experiment.run import read_experiments, states

    for experiment in read_experiments(folder):
        rows = [
            (
                name,
                str(state.status),
                state.device,
                f"{state.seconds:.0f}" if state.seconds else "",
                state.reason,
            )
            for name, state in states(experiment, folder).items()
        ]
        say(f"{experiment.name}: {experiment.title}")
        say(table(("run", "status", "device", "seconds", "reason"), rows))
        _say_if_changed(experiment)


@app.command("table")
def print_table(folder: Folder) -> None:
    """Print the tables again from what is there."""
    from histocerb.training.experiment.run import read_experiments, write_table

    for experiment in read_experiments(folder):
        say(write_table(experiment, folder))
        _say_if_changed(experiment)


def _say_if_changed(experiment: Experiment) -> None:
    from histocerb.training.experiment.data import has_changed

    if has_changed(experiment):
        say(
            f"The data of {experiment.store} have changed since: this is of the earlier data; "
            "`histocerb experiment run` does it again on those of now."
        )


def _devices(text: str) -> tuple[str, ...]:
    """The devices that are named; `auto` are all GPUs, or the processor where there is none."""
    from histocerb.training.experiment.process import check_devices

    if text == "auto":
        import torch

        return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count())) or ("cpu",)
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
            raise UsageError(
                f"expected devices such as cpu or cuda:0,cuda:1, found {name!r}; change --devices"
            )
    check_devices(names)
    return names
