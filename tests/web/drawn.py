"""A slide with ellipses at known places and the result that fits it exactly; no network is run."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from histocerb.analysis.objects import Scale, object_rows, object_schema
from histocerb.analysis.summary import add_counts, count_objects, densities, no_objects, tissue_areas_mm2
from histocerb.analysis.tissue import TissueCells, tissue_rows
from histocerb.core.instances import NO_CLASS, InstanceTable
from histocerb.core.outlines import Outlines
from histocerb.core.tasks import CELL_PX, CERBERUS, TaskSpec
from histocerb.inference.manifest import Manifest, Status, versions, write_manifest
from histocerb.slides.reader import open_slide
from histocerb.slides.synth.writer import write_tiff

MPP = 0.5
WIDTH, HEIGHT = 2600, 2100
INK = (60, 20, 90)
STEP = 52
"""Distance of nuclei."""


@dataclass(frozen=True)
class Ellipses:
    """Objects of one kind: x, y, radius along x, radius along y per row."""

    kind: str
    places: np.ndarray
    codes: np.ndarray
    probs: np.ndarray

    def rings(self):
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        x, y, rx, ry = (column[:, None] for column in self.places.T)
        return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=2)

    def table(self, spec: TaskSpec = CERBERUS) -> InstanceTable:
        task = spec.task_of_kind(self.kind)
        codes = self.codes if task.classes else np.full(len(self.codes), NO_CLASS)
        x, y, rx, ry = self.places.T
        return InstanceTable(
            kind=self.kind,
            classes=task.classes,
            class_code=codes.astype(np.int16),
            class_prob=self.probs.astype(np.float32),
            score=np.linspace(0.5, 1, len(x)).astype(np.float32),
            centroid=np.stack([x, y], axis=1),
            area_px=np.pi * rx * ry,
            bbox=np.stack([x - rx, y - ry, x + rx, y + ry], axis=1),
            first_px=np.stack([y - ry, x], axis=1).astype(np.int64),
            outlines=Outlines.from_rings([[ring] for ring in self.rings()]),
        )


def nuclei() -> Ellipses:
    y, x = np.mgrid[40 : HEIGHT - 40 : STEP, 40 : WIDTH - 40 : STEP].astype(float)
    places = np.stack([x.ravel(), y.ravel(), np.full(x.size, 9.0), np.full(x.size, 6.0)], axis=1)
    numbers = np.arange(len(places))
    return Ellipses("nucleus", places, numbers % 6, 0.3 + 0.7 * (numbers % 8) / 7)


def unsure_nuclei() -> Ellipses:
    """Every other one without a class."""
    old = nuclei()
    return replace(old, codes=np.where(np.arange(len(old.codes)) % 2, old.codes, NO_CLASS))


def glands() -> Ellipses:
    places = np.array([[700.0, 700, 260, 180], [1800, 1300, 300, 220]])
    return Ellipses("gland", places, np.array([0, 1]), np.array([0.9, 0.6]))


def lumina() -> Ellipses:
    places = np.array([[700.0, 700, 60, 40]])
    return Ellipses("lumen", places, np.full(1, NO_CLASS), np.zeros(1))


@dataclass(frozen=True)
class Before:
    """What became of the nuclei of `nuclei` in `changed_nuclei`, by their numbers there."""

    lost: np.ndarray
    retyped: np.ndarray
    moved: np.ndarray
    """So far that they are lost, and new where they are now."""
    new: np.ndarray
    """Numbers in the changed result of those without a place before."""


def changed_nuclei() -> tuple[Ellipses, Before]:
    """Nuclei as another model might find them: most a little off, some lost, new or of another class."""
    old = nuclei()
    numbers = np.arange(len(old.places))
    lost, retyped, moved = numbers % 10 == 3, numbers % 10 == 5, numbers % 25 == 12
    places, codes = old.places.copy(), old.codes.copy()
    places[:, 0] += 1
    places[moved, 0] += 7  # 8 of 18 px: they share a quarter of their common area
    codes[retyped] = (codes[retyped] + 1) % 6
    added = old.places[numbers % 40 == 7] + (STEP / 2, STEP / 2, 0, 0)
    kept = ~lost
    every = Ellipses(
        "nucleus",
        np.concatenate([places[kept], added]),
        np.concatenate([codes[kept], np.full(len(added), 2)]),
        np.concatenate([old.probs[kept], np.full(len(added), 0.9)]),
    )
    moved, retyped = moved & kept, retyped & kept & ~moved
    new = np.arange(kept.sum(), len(every.places))
    return every, Before(*(np.flatnonzero(some) for some in (lost, retyped, moved)), new)


def pixels() -> np.ndarray:
    """Ground whose colour says where it is, and dark nuclei."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    ground = [225 + 20 * np.sin(x / 90), 190 + 20 * np.cos(y / 70), 215 + 15 * np.sin((x + y) / 200)]
    image = np.stack(ground, axis=2).astype(np.uint8)
    for ring in nuclei().rings():
        cv2.fillPoly(image, [np.round((ring - 0.5) * 16).astype(np.int32)], INK, cv2.LINE_AA, 4)
    return image


def cells() -> TissueCells:
    classes = CERBERUS.patch.classes
    rows, columns = -(-HEIGHT // CELL_PX), -(-WIDTH // CELL_PX)
    shares = np.full((rows, columns, len(classes)), 0.05, np.float32)
    for row in range(rows):
        for column in range(columns):
            shares[row, column, 1 + (row + column) % (len(classes) - 1)] = 0.6
    return TissueCells(classes, shares)


def inside(points: np.ndarray, ellipses: Ellipses, first_id: int) -> np.ndarray:
    ids = np.zeros(len(points), np.int64)
    for number, (x, y, rx, ry) in enumerate(ellipses.places):
        ids[((points[:, 0] - x) / rx) ** 2 + ((points[:, 1] - y) / ry) ** 2 < 1] = first_id + number
    return ids


def write_result(
    folder: Path,
    slide: Path,
    row_group: int = 400,
    found_nuclei: Ellipses | None = None,
    spec: TaskSpec = CERBERUS,
) -> Path:
    """Write the result of a slide that `pixels` were written to, with these nuclei or those that fit."""
    scale = Scale(MPP, MPP)
    grid = cells() if spec.patch else TissueCells((), np.zeros((0, 0, 0), np.float32))
    parts, first = [], {}
    kinds = {"nucleus": found_nuclei or nuclei(), "gland": glands(), "lumen": lumina()}
    next_id = 1
    for task in spec.objects:
        first[task.kind] = next_id
        next_id += len(kinds[task.kind].places)
    for task in spec.objects:
        table = kinds[task.kind].table(spec)
        held = inside(table.centroid, kinds["gland"], first.get("gland", 1))
        container = np.zeros(len(table), np.int64) if task.kind == "gland" else held
        tissue = grid.codes_at(table.centroid)
        parts.append(object_rows(spec, table, first[task.kind], scale, container, tissue))
    objects = pa.concat_tables([object_schema(spec).empty_table(), *parts])
    folder.mkdir(parents=True)
    pq.write_table(objects, folder / "objects.parquet", row_group_size=row_group)
    tissue_table = tissue_rows(spec, grid, scale)
    pq.write_table(tissue_table, folder / "tissue.parquet")
    write_manifest(folder, _manifest(slide, objects, tissue_table, spec))
    return folder


def write_slide(path: Path) -> Path:
    """Write `pixels` as a slide."""
    write_tiff(open_slide(pixels(), MPP), path, quality=95)
    return path


def _manifest(path: Path, objects: pa.Table, tissue: pa.Table, spec: TaskSpec) -> Manifest:
    slide = open_slide(path)
    about = {
        "path": str(path),
        "fingerprint": slide.fingerprint(),
        "width_px": slide.width_px,
        "height_px": slide.height_px,
        "mpp": slide.mpp,
        "vendor": slide.vendor,
    }
    slide.close()
    area = WIDTH * HEIGHT * (MPP / 1000) ** 2
    counts = add_counts(no_objects(spec), count_objects(objects, spec))
    return Manifest(
        status=Status.DONE,
        key="0" * 64,
        slide=about,
        model={"name": "drawn", "sha256": "1" * 64, "tasks": spec.name},
        parameters={"working_mpp": MPP, "postproc": {t.name: asdict(t.postproc) for t in spec.objects}},
        counts=counts,
        densities_per_mm2=densities(counts, area),
        tissue_area_mm2=area,
        tissue_classes_mm2=tissue_areas_mm2(tissue, MPP),
        windows=4,
        seconds={"network": 1.5, "tables": 0.5},
        peak_memory_mb=100.0,
        device="none",
        versions=versions(),
    )
