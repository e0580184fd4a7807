"""The same samples as a source of another name, so that a store can hold several folders of one kind."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from histocerb.core.errors import UsageError
from histocerb.core.samples import Sample
from histocerb.data.sources.entry import Entry

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ROUND = re.compile(r"round-\d+")
_TOGETHER = "all"
"""What reports call all sources together."""


def renamed(entries: Sequence[Entry], source: str, taken: Collection[str]) -> list[Entry]:
    """The entries with another source; patients stay who they are.

    Args:
        entries: of one source.
        source: its name in the store.
        taken: names of other kinds of sources.

    Raises:
        UsageError: a name that is taken, or that is not of small letters, digits and hyphens.
    """
    is_taken = source in (*taken, _TOGETHER) or _ROUND.fullmatch(source)
    if is_taken or not _NAME.fullmatch(source):
        raise UsageError(
            "expected a name of small letters, digits and hyphens that no other source has and that is not "
            f"{_TOGETHER!r}, found {source!r}; give another --name"
        )
    return [replace(entry, load=partial(_load, entry, source)) for entry in entries]


def _load(entry: Entry, source: str) -> Sample:
    return replace(entry.load(), source=source)
