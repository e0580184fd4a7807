"""GeoJSON files for QuPath (0.4 and later), in level-0 pixels; the features are those of `core.qupath`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa

from histocerb.core.qupath import write_features
from histocerb.core.tasks import Grouping, TaskSpec
from histocerb.export.files import new_file


def annotation_kinds(spec: TaskSpec) -> frozenset[str]:
    """Kinds that QuPath should treat as annotations: structures; the others (nuclei) are detections."""
    return frozenset(t.kind for t in spec.objects if t.postproc and t.postproc.grouping is Grouping.GROW)


def write_geojson(
    batches: Iterable[pa.RecordBatch],
    path: Path,
    annotations: Collection[str],
    origin_px: tuple[int, int] = (0, 0),
) -> int:
    """Write a FeatureCollection; a file of that name is complete.

    Args:
        batches: Rows of the object table.
        path: File to write; replaced if there is one.
        annotations: Kinds to write as annotations.
        origin_px: Where QuPath begins; see `slides.reader.Slide`.

    Returns:
        The number of features.

    Raises:
        OutputError: The file cannot be written.
    """
    with new_file(path) as temporary, temporary.open("wb") as file:
        return write_features(batches, file, annotations, origin_px=origin_px)
