"""`histocerb train`: from a configuration to a checkpoint."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histocerb.cli.console import say, table

if TYPE_CHECKING:
    from histocerb.training.dry_run import StageCost


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The run; see configs/.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run [runs/NAME].")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the run would take here, and train nothing.")
    ] = False,
) -> None:
    """Train a network; the same command goes on with a run that was interrupted."""
    from histocerb.core.config_file import read_config
    from histocerb.training.config import TrainConfig

    run = read_config(config, TrainConfig)
    folder = out or Path("runs") / run.name
    if dry_run:
        from histocerb.training.dry_run import dry_run as measured

        say(_costs(measured(run, folder, device), run.devices))
        return
    from histocerb.training.fit import fit

    # Losses, rate and time left: on terminals too.
    logging.getLogger("histocerb.training").setLevel(logging.INFO)
    model = fit(run, folder, device=device)
    say(f"checkpoint written to {model}; use it with --model {model}")


def _costs(stages: tuple[StageCost, ...], devices: int) -> str:
    """A line per stage, and the sum."""
    header = ("stage", "learning", "GFLOP/step", "MB", "steps/s", "steps", "left")
    rows = [
        (
            str(number),
            f"{stage.learning:,}",
            f"{stage.flops / 1e9:.1f}",
            f"{stage.memory_mb:.0f}",
            f"{stage.steps_per_s:.2f}",
            f"{stage.steps - stage.done:,}",
            str(timedelta(seconds=round(stage.left_s))),
        )
        for number, stage in enumerate(stages, start=1)
    ]
    left = timedelta(seconds=round(sum(stage.left_s for stage in stages)))
    shared = f"; measured on one of {devices} devices, with whole batches" if devices > 1 else ""
    lines = [
        f"{stages[0].parameters:,} parameters",
        table(header, rows),
        f"about {left} left, without validation{shared}",
    ]
    return "\n".join(lines)
