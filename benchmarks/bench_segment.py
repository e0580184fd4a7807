"""Whole `segment` of a real slide with a released-size network, against the released way of windowing.

    python -m benchmarks.bench_segment [--slide F] [--rows N]

Ours: `segment_slide` from the open slide to the last file, on the CPU, the first compilation apart. The
released way: a window of 448 px for every cell of 144 px of the slide (eager PyTorch, float32, NCHW, same
weights), then our post-processing of its maps. The weights are random with a fixed seed, their statistics
fitted to the slide, so that there are objects. Target: 10 times faster, PQ between both at least 0.99.

`--rows N` runs the released way on the first N rows of cells only (it takes half an hour in all); then its
time is compared with the same share of ours, and only objects above the cut are matched. What is printed says
so.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.released import SETTLING_PX, Maps, cell_maps, released_size_network, settle_on
from histocerb.core.geometry import MARGIN_PX, WINDOW_OUTPUT_PX, Region
from histocerb.core.tasks import CELL_PX, Task
from histocerb.core.wkb import decode_polygons
from histocerb.inference.compute import resolve
from histocerb.inference.manifest import Manifest, RunningModel
from histocerb.inference.predictor import make_predictor
from histocerb.inference.slide import segment_slide
from histocerb.metrics.matching import match
from histocerb.metrics.segmentation import panoptic_quality
from histocerb.models.network import Network
from histocerb.postproc import postprocess
from histocerb.slides.reader import Slide, open_slide, working_mpp

SLIDE = Path(__file__).parents[2] / "shared" / "data" / "slides" / "CMU-1-Small-Region.svs"
TARGET_RATIO, TARGET_PQ = 10.0, 0.99
Labels = npt.NDArray[np.int32]


def ours(slide: Slide, network: Network) -> tuple[pa.Table, Manifest, float]:
    """Objects and manifest of `segment`, and its seconds."""
    compute = resolve("cpu")
    predictor = make_predictor(network, compute)
    side = WINDOW_OUTPUT_PX + 2 * MARGIN_PX
    predictor.predict(np.zeros((side, side, 3), np.uint8), MARGIN_PX)
    model = RunningModel("random", "0" * 64, network.spec, predictor, compute.arithmetic)
    with tempfile.TemporaryDirectory(prefix="histocerb-segment-") as place:
        start = time.perf_counter()
        result = segment_slide(slide, model, Path(place) / "slide")
        spent = time.perf_counter() - start
        return result.objects, result.manifest, spent


def released_way(
    image: npt.NDArray[np.uint8], network: Network, cell_rows: int
) -> tuple[dict[str, Labels], float]:
    """Label maps by task, and seconds of the windows and of post-processing."""
    height, width = image.shape[:2]
    below, right = -height % CELL_PX, -width % CELL_PX
    padding = ((MARGIN_PX, MARGIN_PX + below), (MARGIN_PX, MARGIN_PX + right), (0, 0))
    mirrored = np.pad(image, padding, mode="symmetric")
    cells = [(row, column) for row in range(cell_rows) for column in range(-(-width // CELL_PX))]
    start = time.perf_counter()
    maps: Maps = cell_maps(network, mirrored, cells, (height, width))
    tables = postprocess(maps, network.spec)
    spent = time.perf_counter() - start
    return {name: table.label_image((height, width)) for name, table in tables.items()}, spent


def labels_of(objects: pa.Table, task: Task, shape: tuple[int, int], scale: float) -> Labels:
    """Objects of a task as a label map at the working resolution."""
    rows = objects.filter(pc.equal(objects["kind"].cast(pa.string()), task.kind))
    outlines = decode_polygons(rows["geometry"]).transform(1 / scale)
    return outlines.paint(shape, np.arange(1, len(outlines) + 1, dtype=np.int32))


def above(labels: Labels, row: int) -> Labels:
    """Objects that end a cell above a row, without the others."""
    if row >= len(labels):
        return labels
    kept = labels[:row].copy()
    kept[np.isin(kept, labels[max(0, row - CELL_PX) :])] = 0
    return kept


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--slide", type=Path, default=SLIDE)
    parser.add_argument("--rows", type=int, help="rows of cells for the released way (default: all)")
    chosen = parser.parse_args()
    if not chosen.slide.exists():
        print(f"no slide at {chosen.slide}: give one with --slide")
        return
    slide = open_slide(chosen.slide)
    mpp = working_mpp(slide.mpp)
    width, height = slide.size_at(mpp)
    image = slide.read(Region(0, 0, width, height), mpp)
    network = released_size_network()
    settle_on(network, image[-SETTLING_PX:, -SETTLING_PX:])
    all_rows = -(-height // CELL_PX)
    cell_rows = min(chosen.rows or all_rows, all_rows)
    theirs, theirs_s = released_way(image, network, cell_rows)
    objects, manifest, ours_s = ours(slide, network)
    share = cell_rows / all_rows
    print(f"{width} x {height} px; released way on {cell_rows} of {all_rows} rows of cells: {theirs_s:.1f} s")
    print(f"ours, all of the slide: {ours_s:.1f} s, of which {manifest.seconds}")
    scaled = "" if share == 1 else f" (ours counted with {share:.0%} of its time)"
    print(f"ratio {theirs_s / (ours_s * share):.1f}{scaled}, target {TARGET_RATIO:.0f}")
    for task in network.spec.objects:
        mine = labels_of(objects, task, (height, width), mpp / slide.mpp)
        pair = [above(labels, cell_rows * CELL_PX) for labels in (theirs[task.name], mine)]
        quality = panoptic_quality(match(*pair))
        print(f"{task.name}: PQ {quality.pq:.4f} of {quality.tp + quality.fn} objects, target {TARGET_PQ}")


if __name__ == "__main__":
    main()
