"""`histocerb export`: results for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from histocerb.cli.console import say
from histocerb.core.errors import UsageError


class Format(StrEnum):
    """Formats that can be written, by the ending of their files."""

    GEOJSON = "geojson"
    GEOPARQUET = "geoparquet"


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Result folder of one slide.")],
    format: Annotated[Format, typer.Option(help="Format of the file.")],
    out: Annotated[Path | None, typer.Option(help="File to write [DIR/objects.FORMAT].")] = None,
    kind: Annotated[str | None, typer.Option(help="Only objects of this kind, such as nucleus.")] = None,
    simplify: Annotated[
        float | None,
        typer.Option(metavar="UM", min=0, help="Leave out points of outlines that move them by no more."),
    ] = None,
) -> None:
    """Write the objects of a slide as GeoJSON, which QuPath opens, or as GeoParquet."""
    from histocerb.export.geojson import annotation_kinds, write_geojson
    from histocerb.export.geoparquet import write_geoparquet
    from histocerb.export.rows import OBJECTS_FILE, object_batches, object_schema, recorded
    from histocerb.export.simplify import simplified

    path, objects, about = out or folder / f"objects.{format.value}", folder / OBJECTS_FILE, recorded(folder)
    _refuse_own_file(path, folder)
    batches = object_batches(objects, kind)
    if simplify is not None:
        batches = simplified(batches, simplify / about.mpp)
    if format is Format.GEOJSON:
        count = write_geojson(batches, path, annotation_kinds(about.spec), about.origin_px)
    else:
        count = write_geoparquet(batches, object_schema(objects), path)
    say(f"{count:,} objects written to {path}")


def _refuse_own_file(path: Path, folder: Path) -> None:
    """A part of the objects must not take the place of what `segment` found."""
    from histocerb.export.rows import MANIFEST_FILE, OBJECTS_FILE

    own = (OBJECTS_FILE, "tissue.parquet", MANIFEST_FILE, "overview.png")
    if path.name in own and path.parent.resolve() == folder.resolve():
        raise UsageError(
            f"expected a file of another name than those of the result, found {path}; choose another --out"
        )
