"""What a source says about a folder before any pixel is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from histocerb.core.samples import Sample


@dataclass(frozen=True)
class Entry:
    """A sample that can be read. Listing a data set is cheap, loading is not.

    Attributes:
        name: unique within the source; the name of the sample that `load` gives.
        files: what it is read from, the image first; may be shared between entries.
        load: reads it; called once, in any thread. Raises DataError where the files are not what they should
            be.
        recipe: what it depends on besides the files (the parameters of a generator); an entry without files
            and recipe is always read anew.
    """

    name: str
    files: tuple[Path, ...]
    load: Callable[[], Sample]
    recipe: str = ""


def as_entries(samples: Iterable[Sample]) -> Iterator[Entry]:
    """Samples in memory as entries."""
    for sample in samples:
        yield Entry(sample.name, (), partial(_same, sample))


def _same(sample: Sample) -> Sample:
    return sample


@dataclass(frozen=True)
class ReadOptions:
    """What a user can say about how a folder is read.

    Attributes:
        drop_unmapped: keep objects of classes that no table maps as of unknown class, and leave patches of
            such classes out; without it they are errors.
        mpp: micrometres per pixel, for images that do not say it.
        classes: class name in the files to ours, besides the tables of `data/class_names.py`.
        task: name of the task that the objects are of, for folders that do not say it.
    """

    drop_unmapped: bool = False
    mpp: float | None = None
    classes: Mapping[str, str] = field(default_factory=dict)
    task: str = ""


Read = Callable[[Path, ReadOptions], list[Entry]]
"""Entries of a folder, in order of names.

Raises DataError where the folder is not the data set, or not the whole of it."""


@dataclass(frozen=True)
class DataSet:
    """A kind of folder that can be converted.

    Attributes:
        title: what it is, for people.
        licence: its terms, as its authors state them; "" where they depend on the user's own data.
        read: from a folder to entries.
        takes: the fields of `ReadOptions` that it heeds.
        note: what a user should know of it, "" where there is nothing to say.
    """

    title: str
    licence: str
    read: Read
    takes: tuple[str, ...] = ("drop_unmapped",)
    note: str = ""
