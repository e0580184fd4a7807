"""A report as a list of blocks, which `markdown` and `html` write down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Heading:
    """A title; level 1 is that of the whole report."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes:
        header: one text per column.
        rows: the same number of texts each; the first names the row.
        shares: per cell from 0 to 1, how strongly it is shaded where colours can be shown; () for none.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shares: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Picture:
    """A file beside the report.

    Attributes:
        path: relative to the report, with forward slashes.
        text: what it shows.
    """

    path: str
    text: str


Block = Heading | Paragraph | Table | Picture

Figures = Mapping[str, Any]


def decimal(value: Any) -> str:
    """Three decimals; a dash for what is undefined."""
    return "-" if value is None else f"{value:.3f}"


def with_interval(figure: Any) -> str:
    """The mean and its 95 % interval; a number as it is; "" for a figure that is not there."""
    if not isinstance(figure, Mapping):
        return "" if figure is None else f"{figure:,}" if isinstance(figure, int) else decimal(figure)
    if figure["mean"] is None:
        return "-"
    if figure["low"] is None:
        return decimal(figure["mean"])
    return f"{decimal(figure['mean'])} ({decimal(figure['low'])} to {decimal(figure['high'])})"
