"""From the result folder of a slide to a folder of regions that are worth correcting."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from histocerb.analysis.objects import Scale, container_column, read_objects
from histocerb.analysis.proposals import COLUMNS, propose
from histocerb.analysis.tissue import read_tissue
from histocerb.core.errors import OutputError, UsageError
from histocerb.core.geometry import Region
from histocerb.data.regions import Origin, SavedRegion, write_regions
from histocerb.inference.cohort.results import read_columns
from histocerb.inference.manifest import Manifest, Status, read_manifest, tasks_of
from histocerb.inference.tables import OBJECTS_FILE, TISSUE_FILE
from histocerb.slides.reader import Slide, open_slide

_PATIENT = "patient"
"""Column of a table of slides, carried along into the result, that says whose slide it is."""


def cut_regions(
    result: Path, out: Path, n: int, side_px: int, slide: Path | None = None
) -> list[SavedRegion]:
    """Cut the regions of a slide that can be trusted least, with what was found there.

    Args:
        result: result folder of the slide.
        out: folder to add them to.
        n: how many; fewer where the slide has no room for them.
        side_px: of a region, in working pixels.
        slide: the slide, where it is no longer at the path of the result.

    Returns:
        The regions, the most uncertain first.

    Raises:
        OutputError: the result is not complete, or `out` cannot be written.
        SlideError: the slide cannot be read.
        UsageError: the slide is another one.
    """
    manifest = read_manifest(result)
    if manifest is None or manifest.status is not Status.DONE:
        raise OutputError(f"{result}: expected the complete result of one slide; run histocerb segment first")
    spec, model = tasks_of(manifest), manifest.model
    scale = Scale(manifest.slide["mpp"], manifest.parameters["working_mpp"])
    path = result / OBJECTS_FILE
    column = container_column(spec)
    objects = read_objects(path, columns=(*COLUMNS, *([column] if column else [])))
    size_px = manifest.slide["width_px"], manifest.slide["height_px"]
    proposals = propose(objects, read_tissue(result / TISSUE_FILE), size_px, scale, n, side_px, spec)

    def objects_on(region: Region) -> pa.Table:
        corners = (region.x, region.y, region.right, region.bottom)
        left, top, right, bottom = (corner * scale.factor for corner in corners)
        return read_objects(path, box=(left, top, right, bottom))

    opened = _same_slide(manifest, slide)
    try:
        patient = read_columns(result).get(_PATIENT, "").strip()
        origin = Origin(opened, scale.working_mpp, model["name"], model["sha256"], spec, patient)
        return write_regions(out, origin, proposals, objects_on)
    finally:
        opened.close()


def _same_slide(manifest: Manifest, path: Path | None) -> Slide:
    about = manifest.slide
    opened = open_slide(path or about["path"], about["mpp"])
    if opened.fingerprint() != about["fingerprint"]:
        opened.close()
        raise UsageError(
            f"{opened.path}: expected the slide of the result, found another; give it with --slide"
        )
    return opened
