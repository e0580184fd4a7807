"""Charts as SVG text: histograms and stacked bars, readable without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np
import numpy.typing as npt

from histocerb.core.colours import Rgb, colour

_WIDTH, _HEIGHT, _BINS = 360, 120, 48
_FOOT = 18


def css(name: str) -> str:
    """Colour of a class as CSS."""
    return css_of(colour(name))


def css_of(shade: Rgb) -> str:
    """A colour as CSS."""
    return "#{:02x}{:02x}{:02x}".format(*shade)


def histogram(values: npt.NDArray[np.float32], shade: str, label: str, unit: str) -> str:
    """How values are distributed, on a logarithmic axis, with their median.

    Args:
        values: positive numbers; none gives a sentence.
        shade: colour of the bars.
        label: what they are, for those who cannot see it.
        unit: of the values.
    """
    values = values[values > 0]
    if not len(values):
        return f"<p class=faint>{escape(label)}: none</p>"
    low, high = float(np.log10(values.min())), float(np.log10(values.max()))
    low, high = (low, high) if high - low > 0.1 else (low - 0.05, high + 0.05)
    counts, _ = np.histogram(np.log10(values), _BINS, (low, high))
    step, most = _WIDTH / _BINS, counts.max()
    bars = "".join(
        f'<rect x="{n * step:.1f}" y="{_HEIGHT - _HEIGHT * c / most:.1f}" '
        f'width="{step - 0.6:.1f}" height="{_HEIGHT * c / most:.1f}"/>'
        for n, c in enumerate(counts.tolist())
    )
    median = float(np.median(values))
    at = (np.log10(median) - low) / (high - low) * _WIDTH
    text = f"{label}: {len(values):,}, median {median:,.1f} {unit}"
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT + _FOOT}" role="img" aria-label="{escape(text)}">'
        f'<g fill="{shade}" stroke="#0006" stroke-width=".5">{bars}</g>'
        f'<path d="M{at:.1f} 0V{_HEIGHT}" stroke="#333" stroke-dasharray="3 3"/>'
        f'<text x="0" y="{_HEIGHT + 14}">{_short(10**low)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 14}" text-anchor="end">{_short(10**high)} {unit}</text>'
        f"</svg><figcaption>{escape(text)}</figcaption></figure>"
    )


def _short(value: float) -> str:
    """Three figures, never a power of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def stacked(shares: Mapping[str, float]) -> str:
    """Shares of classes as one bar."""
    total = sum(shares.values())
    at, bars, words = 0.0, "", []
    for name, value in shares.items():
        share = value / total if total else 0.0
        if share <= 0:
            continue
        title = f"{name} {share:.1%}"
        words.append(title)
        bars += (
            f'<rect x="{at:.2f}" width="{100 * share:.2f}" height="8" fill="{css(name)}">'
            f"<title>{escape(title)}</title></rect>"
        )
        at += 100 * share
    label = escape(", ".join(words) or "none")
    return (
        f'<svg class=stack viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"{bars}</svg>"
    )
