"""A million nuclei: written as GeoParquet, then exported, whole and with simpler outlines.

Run as `python -m benchmarks.bench_export [OBJECTS]`. What the slide engine puts aside is there already; the
time to write is that of its last step, from the objects in the order in which they were found to the table.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.bench_postproc import BLOCK_PX, block, nuclei_spec
from histocerb.analysis.objects import Scale
from histocerb.analysis.tissue import TissueCells
from histocerb.core.geometry import WINDOW_OUTPUT_PX
from histocerb.core.instances import InstanceTable
from histocerb.core.tasks import CERBERUS, WORKING_MPP, HeadKind
from histocerb.export.geojson import annotation_kinds, write_geojson
from histocerb.export.geoparquet import write_geoparquet
from histocerb.export.rows import object_batches, object_schema
from histocerb.export.simplify import simplified
from histocerb.inference.spill import Spill
from histocerb.inference.tables import FoundObjects, write_objects
from histocerb.postproc import postprocess

OBJECTS = 1_000_000
SIMPLIFY_PX = 0.5


BLOCKS = 16
"""Different windows; more than a row group holds, as equal ones in it would compress too well."""


def window_nuclei(seed: int) -> InstanceTable:
    """The nuclei of one window, about 1,850, with outlines along pixels."""
    (task,) = nuclei_spec().objects
    instance, types = task.head(HeadKind.INSTANCE), task.head(HeadKind.TYPE)
    assert instance is not None
    assert types is not None
    inside, classes = block(seed, len(types.channels))
    return postprocess({instance.name: inside, types.name: classes}, nuclei_spec())[task.name]


def put_aside(folder: Path, wanted: int) -> FoundObjects:
    """Copies of a window's nuclei, window by window in a shuffled order, as the engine leaves them."""
    tables = [window_nuclei(seed) for seed in range(BLOCKS)]
    side = int(np.ceil(np.sqrt(wanted / np.mean([len(table) for table in tables]))))
    spills = {
        task.name: Spill(folder / f"{task.name}.arrow", task.kind, task.classes) for task in CERBERUS.objects
    }
    (task,) = nuclei_spec().objects
    for place in np.random.default_rng(0).permutation(side * side):
        row, column = divmod(int(place), side)
        table = tables[place % BLOCKS]
        spills[task.name].add(table.shift(column * WINDOW_OUTPUT_PX, row * WINDOW_OUTPUT_PX))
    for spill in spills.values():
        spill.seal()
    cells = TissueCells((), np.zeros((0, 0, 0), np.float32))
    return FoundObjects(CERBERUS, spills, None, cells, Scale(WORKING_MPP / 2, WORKING_MPP))


def timed(what: str, path: Path, work: Callable[[], object]) -> None:
    """Do it and print how long it took and how large the file is."""
    begin = time.perf_counter()
    work()
    print(f"{what:32} {time.perf_counter() - begin:6.1f} s  {path.stat().st_size / 1e6:7.0f} MB", flush=True)


def main(arguments: list[str]) -> None:
    """Measure and print."""
    wanted = int(arguments[0]) if arguments else OBJECTS
    annotations = annotation_kinds(CERBERUS)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found = put_aside(folder, wanted)
        objects, target = folder / "objects.parquet", folder / "export"
        print(f"{sum(len(spill) for spill in found.spills.values()):,} nuclei ({BLOCK_PX} px blocks)")
        timed(
            "objects.parquet",
            objects,
            lambda: write_objects(objects, found, lambda rows: None, lambda table: None),
        )
        timed("GeoJSON", target, lambda: write_geojson(object_batches(objects), target, annotations))
        timed(
            f"GeoJSON, simplified by {SIMPLIFY_PX} px",
            target,
            lambda: write_geojson(simplified(object_batches(objects), SIMPLIFY_PX), target, annotations),
        )
        timed(
            f"GeoParquet, simplified by {SIMPLIFY_PX} px",
            target,
            lambda: write_geoparquet(
                simplified(object_batches(objects), SIMPLIFY_PX), object_schema(objects), target
            ),
        )


if __name__ == "__main__":
    main(sys.argv[1:])
