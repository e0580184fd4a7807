"""`histocerb train`: from a configuration to a checkpoint."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from histocerb.cli.console import say


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The run; see configs/.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run [runs/NAME].")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train a network; the same command goes on with a run that was interrupted."""
    from histocerb.core.config_file import read_config
    from histocerb.training.config import TrainConfig
    from histocerb.training.fit import fit

    logging.getLogger("histocerb.training").setLevel(
        logging.INFO
    )  # losses, rate, time left: on terminals too
    run = read_config(config, TrainConfig)
    folder = fit(run, out or Path("runs") / run.name, device=device)
    say(f"checkpoint written to {folder}; use it with --model {folder}")
