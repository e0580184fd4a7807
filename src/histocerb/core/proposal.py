"""A part of a slide that is worth a person's time."""

from __future__ import annotations

from dataclasses import dataclass

from histocerb.core.geometry import Region


@dataclass(frozen=True)
class Proposal:
    """A region to annotate or to correct.

    Attributes:
        region: in working pixels of the slide.
        score: 0 to 1, how little can be trusted there; larger is more worth correcting.
        reasons: what makes it stand out on its slide, in words, the strongest first.
    """

    region: Region
    score: float
    reasons: tuple[str, ...]
