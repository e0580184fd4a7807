"""`histocerb model`: packaged models, checkpoint folders and released weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from histocerb.cli.console import say, table

app = typer.Typer(help="List, describe and import models.", no_args_is_help=False)


@app.command("list")
def list_models() -> None:
    """Name the models that ship with the package."""
    from histocerb.models.checkpoint import packaged_models

    for name in packaged_models():
        say(name)


@app.command()
def info(name: Annotated[str, typer.Argument(metavar="NAME|DIR", help="Packaged model or folder.")]) -> None:
    """Describe a model: its heads, size, checksum and what its maker wrote down."""
    from histocerb.core.geometry import MARGIN_PX, WINDOW_OUTPUT_PX
    from histocerb.models.checkpoint import load_checkpoint
    from histocerb.models.cost import multiply_adds, parameters

    checkpoint = load_checkpoint(name)
    millions, side_px = parameters(checkpoint.network) / 1e6, WINDOW_OUTPUT_PX + 2 * MARGIN_PX
    work = multiply_adds(checkpoint.network, side_px) / 1e9
    say(f"{checkpoint.name}: {millions:.2f} M parameters, sha256 {checkpoint.sha256}")
    say(f"a window of {side_px} px takes {work:,.0f} billion multiply-adds")
    spec = checkpoint.network.spec
    say(table(("head", "channels"), [(head.name, ", ".join(head.channels)) for head in spec.heads]))
    if checkpoint.facts:
        say(json.dumps(checkpoint.facts, indent=2))


@app.command("import")
def import_model(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="The released weights.tar.")],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    settings: Annotated[Path | None, typer.Option(help="The settings.yml beside it.")] = None,
) -> None:
    """Convert the checkpoint that the paper's authors released."""
    from histocerb.models.checkpoint import save_checkpoint
    from histocerb.models.released import import_released

    network = import_released(weights, settings)
    sha256 = save_checkpoint(out, network, {"imported_from": weights.name})
    say(f"checkpoint written to {out} (sha256 {sha256[:12]}); use it with --model {out}")
