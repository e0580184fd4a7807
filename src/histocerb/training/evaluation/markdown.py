"""Blocks as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from histocerb.training.evaluation.blocks import Block, Heading, Paragraph, Picture, Table


def markdown(blocks: Iterable[Block]) -> str:
    """The text of a Markdown file."""
    return "\n\n".join(_block(block) for block in blocks) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {escaped(text)}"
        case Paragraph(text):
            return escaped(text)
        case Picture(path, text):
            return f"![{escaped(text)}](<{path}>)\n\n*{escaped(text)}*"
        case Table(header, rows):
            rule = ["---"] + ["---:"] * (len(header) - 1)
            return "\n".join(_row(cells) for cells in (header, rule, *rows))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"


def escaped(text: str) -> str:
    """Names of images and folders may hold characters that mean something in Markdown."""
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())
