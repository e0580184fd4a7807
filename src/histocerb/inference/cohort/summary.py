"""`summary.parquet`: one row per slide that is done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from histocerb.core.errors import UsageError
from histocerb.core.tasks import Task, TaskSpec
from histocerb.inference.atomic import whole_file
from histocerb.inference.cohort.failures import FAILURES_FILE, REASON, read_failures
from histocerb.inference.cohort.results import manifest_or_reason, read_columns, result_folders
from histocerb.inference.cohort.shared import write_until_true
from histocerb.inference.cohort.slides import SUMMARY_FILE, CohortSlide
from histocerb.inference.manifest import Manifest, Status

STAGES = ("tissue", "read", "network", "store", "objects", "tables", "overview")

_ABOUT: tuple[tuple[str, pa.DataType], ...] = (
    ("name", pa.string()),
    ("slide", pa.string()),
    ("fingerprint", pa.string()),
    ("width_px", pa.int64()),
    ("height_px", pa.int64()),
    ("mpp", pa.float64()),
    ("vendor", pa.string()),
    ("model", pa.string()),
    ("model_sha256", pa.string()),
    ("histocerb_version", pa.string()),
    ("device", pa.string()),
    ("windows", pa.int64()),
    ("peak_memory_mb", pa.float64()),
    *((f"seconds_{stage}", pa.float64()) for stage in STAGES),
    ("tissue_mm2", pa.float64()),
)


def summary_schema(spec: TaskSpec) -> pa.Schema:
    """Columns of the summary of a model, without those that were carried along: the same for every slide."""
    objects = [
        pa.field(*column)
        for task in spec.objects
        for name in (None, *task.classes)
        for column in ((_count(task, name), pa.int64()), (_density(task, name), pa.float64()))
    ]
    about = [pa.field(*column) for column in _ABOUT]
    tissue = [pa.field(_area(name), pa.float64()) for name in (spec.patch.classes if spec.patch else ())]
    return pa.schema([*about, *tissue, *objects])


def check_columns(slides: Iterable[CohortSlide], spec: TaskSpec) -> None:
    """See that what is carried along has names of its own.

    Raises:
        UsageError: A column is called like one of the summary or of the failures.
    """
    own = {*summary_schema(spec).names, REASON}
    for name in {name for slide in slides for name in slide.columns}:
        if name in own:
            raise UsageError(
                f"expected columns of other names than those of {SUMMARY_FILE} and {FAILURES_FILE}, found "
                f"`{name}`; rename it in the CSV table"
            )


def write_summary(out: Path, spec: TaskSpec) -> pa.Table:
    """Write `summary.parquet` from the folders of all slides that are done, whoever did them."""

    def write(table: pa.Table) -> None:
        with whole_file(out / SUMMARY_FILE) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    return write_until_true(lambda: summarise(out, spec), write, _same)


def _same(one: pa.Table, other: pa.Table) -> bool:
    return one.schema.equals(other.schema) and bool(one.equals(other))


def summarise(out: Path, spec: TaskSpec) -> pa.Table:
    """One row per slide that is done, by name; then come the columns that were carried along, as text.

    A complete result keeps its row when its slide cannot be read any more; one of other inputs than those of
    the last call has none.
    """
    others = {name for name, failure in read_failures(out).items() if failure.other_result}
    rows: list[dict[str, Any]] = []
    carried: dict[str, None] = {}
    schema = summary_schema(spec)
    for folder in result_folders(out):
        manifest, _ = manifest_or_reason(folder)
        if manifest is None or manifest.status is not Status.DONE or folder.name in others:
            continue
        columns = {name: cell for name, cell in read_columns(folder).items() if name not in schema.names}
        carried.update(dict.fromkeys(columns))
        rows.append(
            {**summary_row(folder.name, manifest, spec), **{k: v or None for k, v in columns.items()}}
        )
    return pa.Table.from_pylist(rows, pa.schema([*schema, *((name, pa.string()) for name in carried)]))


def summary_row(name: str, manifest: Manifest, spec: TaskSpec) -> dict[str, Any]:
    """The row of one slide: 0 for what was looked for and not found, null for what was not looked for."""
    slide, model, area = manifest.slide, manifest.model, manifest.tissue_area_mm2
    row: dict[str, Any] = {
        "name": name,
        "slide": os.fspath(slide["path"]),
        **{key: slide[key] for key in ("fingerprint", "width_px", "height_px", "mpp", "vendor")},
        "model": model["name"],
        "model_sha256": model["sha256"],
        "histocerb_version": manifest.versions.get("histocerb"),
        "device": manifest.device,
        "windows": manifest.windows,
        "peak_memory_mb": manifest.peak_memory_mb,
        **{f"seconds_{stage}": manifest.seconds.get(stage) for stage in STAGES},
        "tissue_mm2": area,
    }
    for name_of_class in spec.patch.classes if spec.patch else ():
        row[_area(name_of_class)] = manifest.tissue_classes_mm2.get(name_of_class, 0.0)
    for task in spec.objects:
        if task.kind in manifest.counts:
            row |= _object_cells(task, manifest.counts[task.kind], area)
    return row


def _object_cells(task: Task, counts: Mapping[str, int], area_mm2: float) -> dict[str, float]:
    """Count and density of a kind and of each of its classes."""
    cells: dict[str, float] = {}
    by_class = {name: counts.get(name, 0) for name in task.classes}
    for name, count in ((None, sum(counts.values())), *by_class.items()):
        cells[_count(task, name)] = count
        cells[_density(task, name)] = count / area_mm2 if area_mm2 > 0 else 0.0
    return cells


def _count(task: Task, class_name: str | None) -> str:
    return "_".join(filter(None, (task.kind, class_name, "count")))


def _density(task: Task, class_name: str | None) -> str:
    return "_".join(filter(None, (task.kind, class_name, "per_mm2")))


def _area(class_name: str) -> str:
    return f"tissue_{class_name}_mm2"
