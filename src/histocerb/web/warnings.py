"""What a reader of a result should know before trusting it."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from histocerb.core.tasks import WORKING_MPP
from histocerb.inference.manifest import RUN_FILE, Manifest

_LITTLE_TISSUE_MM2 = 0.5
_LITTLE_TISSUE_SHARE = 0.01
_COARSE = 1.2


def warnings_of(manifest: Manifest, folder: Path) -> list[str]:
    """Sentences about a complete result, none where nothing is unusual.

    Args:
        manifest: of the result.
        folder: of the result; the one above says with which options it was made.
    """
    found = (_tissue(manifest), _resolution(manifest), _by_hand(manifest, folder), _empty(manifest))
    return [text for text in found if text]


def _tissue(manifest: Manifest) -> str:
    about = manifest.slide
    whole = about["width_px"] * about["height_px"] * (about["mpp"] / 1000) ** 2
    area = manifest.tissue_area_mm2
    if area < _LITTLE_TISSUE_MM2 or area < _LITTLE_TISSUE_SHARE * whole:
        return f"Little tissue: {area:.2f} mm2 of {whole:.1f} mm2; densities are uncertain."
    return ""


def _resolution(manifest: Manifest) -> str:
    mpp = manifest.slide["mpp"]
    if mpp > _COARSE * WORKING_MPP:
        return (
            f"Coarse slide: {mpp:g} um/px, the networks work at {WORKING_MPP:g} um/px; "
            "small objects may be missed."
        )
    return ""


def _by_hand(manifest: Manifest, folder: Path) -> str:
    path = folder.parent / RUN_FILE
    try:
        given = _resolutions_by_hand(path, path.stat().st_mtime_ns)
    except OSError:
        return ""
    if folder.name in given:
        return f"The resolution, {manifest.slide['mpp']:g} um/px, was given by hand."
    return ""


@functools.lru_cache(maxsize=4)
def _resolutions_by_hand(path: Path, _changed: int) -> frozenset[str]:
    """Slides whose resolution did not come from their file."""
    try:
        configuration = json.loads(path.read_text(encoding="utf-8"))["configuration"]
        slides = configuration["cohort"]
        everywhere = configuration.get("mpp") is not None
        return frozenset(s["name"] for s in slides if everywhere or s.get("mpp") is not None)
    except (ValueError, KeyError, TypeError):
        return frozenset()


def _empty(manifest: Manifest) -> str:
    none = [kind for kind, classes in manifest.counts.items() if not sum(classes.values())]
    return f"No object found of kind {', '.join(none)}." if none else ""
