"""What the pages need to know of a cohort and of a slide, as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from histocerb._version import __version__
from histocerb.analysis.objects import container_task, object_classes
from histocerb.core.tasks import Head, Task, TaskSpec, plural
from histocerb.inference.cohort.results import read_columns
from histocerb.inference.cohort.status import SlideState
from histocerb.inference.manifest import tasks_of
from histocerb.web.charts import css, css_of
from histocerb.web.comparison import Comparison
from histocerb.web.density import TILE_PX as DOTS_PX
from histocerb.web.index import CELL_SIDE_PX
from histocerb.web.maps import channel_colour, channel_names, kept_heads
from histocerb.web.opened import Entry
from histocerb.web.outlines import MOST_DETAIL
from histocerb.web.pictures import OVERLAP_PX, TILE_PX, most_level
from histocerb.web.results import Cohort
from histocerb.web.warnings import warnings_of


def cohort_facts(cohort: Cohort, comparison: Comparison | None) -> dict[str, Any]:
    """The cohort and a row per slide, and with what it is compared."""
    states = cohort.states()
    found = [tasks_of(state.manifest) for state in states if state.manifest and state.is_done]
    specs = {spec.heads: spec for spec in sorted(found, key=lambda spec: -len(spec.heads))}
    kinds: dict[str, dict[str, Any]] = {}
    tissue: dict[str, str] = {}
    for spec in specs.values():
        for task in spec.objects:
            kinds.setdefault(task.kind, _kind_words(spec, task))
        tissue |= {name: css(name) for name in (spec.patch.classes if spec.patch else ())}
    return {
        "title": cohort.title,
        "single": cohort.single,
        "version": __version__,
        "kinds": list(kinds.values()),
        "tissue": [{"name": name, "colour": shade} for name, shade in tissue.items()],
        "slides": [_row(cohort, state) for state in states],
        "compared": comparison and {"titles": comparison.titles, "pairs": comparison.pairs},
    }


def slide_facts(entry: Entry, name: str, slide_problem: str | None) -> dict[str, Any]:
    """A slide, its kinds and classes with their colours, and its manifest; known before objects are read.

    Args:
        entry: its result.
        name: of its result folder.
        slide_problem: why its pixels cannot be shown, or None.
    """
    about, spec = entry.manifest.slide, tasks_of(entry.manifest)
    return {
        "name": name,
        "stamp": entry.stamp,
        "width": about["width_px"],
        "height": about["height_px"],
        "mpp": about["mpp"],
        "tile": TILE_PX,
        "overlap": OVERLAP_PX,
        "dots": DOTS_PX,
        "levels": most_level(about["width_px"], about["height_px"]) + 1,
        "cell": CELL_SIDE_PX,
        "details": MOST_DETAIL + 1,
        "kinds": [_kind_words(spec, task) | _kind_count(entry, task) for task in spec.objects],
        "classes": list(object_classes(spec)),
        "container": task.kind if (task := container_task(spec)) else None,
        "tissue": [{"name": n, "colour": css(n)} for n in (spec.patch.classes if spec.patch else ())],
        "maps": [_map_words(head) for head in kept_heads(entry)],
        "slide_problem": slide_problem,
        "warnings": warnings_of(entry.manifest, entry.folder),
        "manifest": asdict(entry.manifest),
    }


def _row(cohort: Cohort, state: SlideState) -> dict[str, Any]:
    row: dict[str, Any] = {"name": state.name, "state": state.state.value, "reason": state.reason}
    manifest = state.manifest
    if manifest is None or not state.is_done:
        return row
    return row | {
        "slide": manifest.slide["path"],
        "fingerprint": manifest.slide["fingerprint"],
        "width": manifest.slide["width_px"],
        "height": manifest.slide["height_px"],
        "mpp": manifest.slide["mpp"],
        "counts": manifest.counts,
        "densities": manifest.densities_per_mm2,
        "tissue_mm2": manifest.tissue_area_mm2,
        "tissue_classes": manifest.tissue_classes_mm2,
        "seconds": sum(manifest.seconds.values()),
        "model": manifest.model["name"],
        "columns": read_columns(cohort.folder(state.name)),
        "warnings": warnings_of(manifest, cohort.folder(state.name)),
    }


def _kind_words(spec: TaskSpec, task: Task) -> dict[str, Any]:
    names = task.classes or (task.kind,)
    classes = [{"name": name, "colour": css(name)} for name in names]
    return {"kind": task.kind, "label": plural(task.kind), "typed": bool(task.classes), "classes": classes}


def _map_words(head: Head) -> dict[str, Any]:
    channels = [{"name": name, "colour": css_of(channel_colour(name))} for name in channel_names(head)]
    return {"head": head.name, "channels": channels}


def _kind_count(entry: Entry, task: Task) -> dict[str, int]:
    return {"count": sum(entry.manifest.counts.get(task.kind, {}).values())}
