"""Blocks as one HTML file; its pictures lie beside it, nothing else is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from histocerb.training.evaluation.blocks import Block, Heading, Paragraph, Picture, Table

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1e1e24; }
body { max-width: 1200px; margin: 2em auto; padding: 0 1em; }
h1, h2, h3 { line-height: 1.2; margin: 1.6em 0 .5em; }
h2 { border-top: 1px solid #ccd; padding-top: .8em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .8em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .7em; border-bottom: 1px solid #dde; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { border-bottom: 2px solid #889; }
figure { margin: 1.2em 0; }
img { max-width: 100%; }
figcaption { color: #556; }
nav a { margin-right: 1em; }
"""


def html(blocks: Iterable[Block]) -> str:
    """The text of an HTML file."""
    found = list(blocks)
    titles = [block for block in found if isinstance(block, Heading)]
    title = next((block.text for block in titles if block.level == 1), "")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(_block(block, titles) for block in found)
        + "\n</body>\n</html>\n"
    )


def _block(block: Block, titles: list[Heading]) -> str:
    match block:
        case Heading(text, level):
            number = next(place for place, title in enumerate(titles) if title is block)
            heading = f'<h{level} id="part-{number}">{escape(text)}</h{level}>'
            return heading + (_contents(titles) if level == 1 else "")
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Picture(path, text):
            source = escape(quote(path))
            image = f'<a href="{source}"><img src="{source}" alt="{escape(text)}" loading="lazy"></a>'
            return f"<figure>{image}<figcaption>{escape(text)}</figcaption></figure>"
        case Table():
            return _table(block)


def _contents(titles: list[Heading]) -> str:
    links = (
        f'<a href="#part-{number}">{escape(title.text)}</a>'
        for number, title in enumerate(titles)
        if title.level == 2
    )
    return f"<nav>{''.join(links)}</nav>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in table.header)
    shares = table.shares or ((),) * len(table.rows)
    body = "\n".join(_row(row, share) for row, share in zip(table.rows, shares, strict=True))
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'


def _row(cells: tuple[str, ...], shares: tuple[float, ...]) -> str:
    shades = shares or (0.0,) * len(cells)
    row = (f"<td{_shade(shade)}>{escape(text)}</td>" for text, shade in zip(cells, shades, strict=True))
    return f"<tr>{''.join(row)}</tr>"


def _shade(share: float) -> str:
    return f' style="background: rgba(0, 114, 178, {0.6 * share:.2f})"' if share > 0 else ""
