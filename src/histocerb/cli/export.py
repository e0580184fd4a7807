"""`histocerb export`: results for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from histocerb.cli.console import say


class Format(StrEnum):
    """Formats that can be written."""

    GEOJSON = "geojson"


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Result folder of one slide.")],
    format: Annotated[Format, typer.Option(help="Format of the file.")],
    out: Annotated[Path | None, typer.Option(help="File to write [DIR/objects.geojson].")] = None,
    kind: Annotated[str | None, typer.Option(help="Only objects of this kind, such as nucleus.")] = None,
) -> None:
    """Write the objects of a slide as GeoJSON, which QuPath opens."""
    from histocerb.export.geojson import annotation_kinds, write_geojson
    from histocerb.export.rows import OBJECTS_FILE, object_batches, recorded_tasks

    path = out or folder / f"objects.{format.value}"
    annotations = annotation_kinds(recorded_tasks(folder))
    count = write_geojson(object_batches(folder / OBJECTS_FILE, kind), path, annotations)
    say(f"{count:,} objects written to {path}")
