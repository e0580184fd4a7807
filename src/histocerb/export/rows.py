"""Result folders: rows of the object table, a batch at a time, and the tasks they belong to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from histocerb.core.errors import OutputError, UsageError
from histocerb.core.tasks import PRESETS, TaskSpec

OBJECTS_FILE = "objects.parquet"
MANIFEST_FILE = "manifest.json"
BATCH_ROWS = 4096


def object_batches(path: Path, kind: str | None = None) -> Iterator[pa.RecordBatch]:
    """Batches of `objects.parquet` in file order, all rows or those of one kind.

    Raises:
        OutputError: The file is missing or damaged.
        UsageError: No row has that kind, and the table does not know the word.
    """
    with _opened(path) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            yield batch if kind is None else _of_kind(batch, kind)


def object_schema(path: Path) -> pa.Schema:
    """Columns of `objects.parquet`, with their GeoParquet metadata.

    Raises:
        OutputError: The file is missing or damaged.
    """
    with _opened(path) as file:
        return file.schema_arrow


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError as error:
        raise OutputError(
            f"Expected a table of objects, found no {path}; "
            "give the result folder of one slide, or run histocerb segment first."
        ) from error
    except (OSError, pa.ArrowInvalid) as error:
        raise OutputError(
            f"Expected a table of objects, found a damaged file {path} ({error}); "
            "run histocerb segment again."
        ) from error


@dataclass(frozen=True)
class Recorded:
    """What a result folder says of itself.

    Attributes:
        spec: tasks of the model that made it.
        mpp: micrometres per level-0 pixel.
        origin_px: where QuPath begins; see `slides.reader.Slide`.
    """

    spec: TaskSpec
    mpp: float
    origin_px: tuple[int, int]


def recorded(folder: Path) -> Recorded:
    """Read the `manifest.json` of a result folder.

    Raises:
        OutputError: There is no manifest, or it is damaged.
    """
    path = folder / MANIFEST_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        slide, (x, y) = document["slide"], document["slide"].get("origin_px", (0, 0))
        return Recorded(PRESETS[document["model"]["tasks"]], float(slide["mpp"]), (int(x), int(y)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"Expected the manifest of a result, found no readable {path}; "
            "give the result folder of one slide, or run histocerb segment first."
        ) from error


def _of_kind(batch: pa.RecordBatch, kind: str) -> pa.RecordBatch:
    column = batch.column("kind")
    if isinstance(column, pa.DictionaryArray):
        words = [str(word) for word in column.dictionary.to_pylist()]
        if kind not in words:
            raise UsageError(
                f"Expected a kind of object ({', '.join(words)}), found {kind!r}; choose one of them."
            )
    return batch.filter(pc.equal(column.cast(pa.string()), pa.scalar(kind)))
