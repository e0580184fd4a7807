"""`report.html`: a slide or a cohort on one page that needs no server and no other file."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from histocerb._version import __version__
from histocerb.analysis.summary import UNCLASSIFIED
from histocerb.core.errors import OutputError, SlideError
from histocerb.core.tasks import Task, TaskSpec, plural
from histocerb.inference.atomic import whole_file
from histocerb.inference.cohort.status import SlideState, State
from histocerb.inference.manifest import Manifest, tasks_of
from histocerb.inference.overview import OVERVIEW_FILE
from histocerb.inference.tables import OBJECTS_FILE
from histocerb.web.charts import css, histogram, stacked
from histocerb.web.index import NO_WORD, read_index
from histocerb.web.results import Cohort, own_file
from histocerb.web.slides import SlideShelf
from histocerb.web.stain import stain_warning
from histocerb.web.warnings import warnings_of

REPORT_FILE = "report.html"

_PICTURE_PX = 1500
_THUMBNAIL_PX = 240
_QUALITY = 86
_STYLE = Path(__file__).with_suffix(".css")


def write_slide_report(cohort: Cohort, name: str, shelf: SlideShelf) -> Path:
    """Write `report.html` into the folder of a complete result.

    Args:
        cohort: the results.
        name: of the result.
        shelf: finds the slide, whose stain is looked at.

    Raises:
        UsageError: There is no such slide.
        OutputError: Its result is incomplete or damaged, or the report cannot be written.
    """
    folder, manifest = cohort.folder(name), cohort.manifest(name)
    spec = tasks_of(manifest)
    warnings, stain = _warnings(cohort, name, shelf)
    parts = [
        f"<h1>{escape(name)}</h1><p class=faint>{escape(str(manifest.slide['path']))}</p>",
        "".join(f"<p class=warning>{escape(text)}</p>" for text in warnings),
        _section("Overview", _image(own_file(folder, OVERVIEW_FILE), _PICTURE_PX, "Overview")),
        _section("Objects", _counts(manifest, spec)),
        _section("Areas", _areas(folder, manifest, spec)),
        _section("Tissue", _tissue(manifest, spec)) if spec.patch else "",
        _section("How it was made", _facts(manifest, stain)),
    ]
    return _write(folder / REPORT_FILE, name, parts)


def write_cohort_report(cohort: Cohort, shelf: SlideShelf, failures: Mapping[str, str] | None = None) -> Path:
    """Write `report.html` beside the folders of the slides, with links to their own reports.

    Args:
        cohort: the results.
        shelf: finds the slides, whose stains are looked at.
        failures: why slides have no report of their own; they count as failed.

    Raises:
        OutputError: The overview of another one is damaged, or the report cannot be written.
    """
    reasons = failures or {}
    states = [
        replace(state, state=State.FAILED, reason=reasons[state.name]) if state.name in reasons else state
        for state in cohort.states()
    ]
    done = [state for state in states if state.is_done and state.manifest]
    failed = [state for state in states if state.reason]
    area = sum(state.manifest.tissue_area_mm2 for state in done if state.manifest)
    head = f"{len(states)} slides, {len(done)} done, {len(failed)} failed, {area:,.2f} mm² of tissue"
    rows = "".join(_slide_row(cohort, state, shelf) for state in states)
    columns = "".join(f"<th>{word}</th>" for word in ("tissue mm²", "objects", "composition", "tissue"))
    parts = [
        f"<h1>{escape(cohort.title)}</h1><p class=faint>{head}</p>",
        _section("Slides", f"<table><thead><tr><th>slide</th><th></th>{columns}</tr></thead>{rows}</table>"),
    ]
    return _write(cohort.root / REPORT_FILE, cohort.title, parts)


def _warnings(cohort: Cohort, name: str, shelf: SlideShelf) -> tuple[list[str], str]:
    """Sentences about a result, and what is known of its stain."""
    folder, manifest = cohort.folder(name), cohort.manifest(name)
    found = warnings_of(manifest, folder)
    try:
        unusual = stain_warning(shelf.slide(manifest, folder))
    except SlideError:
        return found, "not looked at, the slide was not found"
    return [*found, *([unusual] if unusual else [])], "unusual" if unusual else "as of H&E"


def _slide_row(cohort: Cohort, state: SlideState, shelf: SlideShelf) -> str:
    name = escape(state.name)
    manifest = state.manifest
    if not state.is_done or manifest is None:
        reason = f'<td class="text bad" colspan=4>{escape(state.state.value)}: {escape(state.reason)}</td>'
        return f"<tr><th>{name}</th><td></td>{reason}</tr>"
    spec, folder = tasks_of(manifest), cohort.folder(state.name)
    picture = _image(own_file(folder, OVERVIEW_FILE), _THUMBNAIL_PX, "", "thumb")
    link = f'<a href="{quote(state.name)}/{REPORT_FILE}">{name}</a>'
    objects = "<br>".join(_number(kind, sum(of.values())) for kind, of in manifest.counts.items())
    typed = [task.kind for task in spec.objects if len(task.classes) > 1]
    mix = "".join(stacked(manifest.counts.get(kind, {})) for kind in typed)
    warnings, _ = _warnings(cohort, state.name, shelf)
    notes = "".join(f'<div class="faint">{escape(text)}</div>' for text in warnings)
    tissue = stacked(_without_glass(manifest, spec))
    return (
        f"<tr><th>{link}{notes}</th><td>{picture}</td><td>{manifest.tissue_area_mm2:.2f}</td>"
        f"<td>{objects}</td><td>{mix}</td><td>{tissue}</td></tr>"
    )


def _number(kind: str, count: int) -> str:
    return f"{count:,} {escape(kind if count == 1 else plural(kind))}"


def _counts(manifest: Manifest, spec: TaskSpec) -> str:
    rows = []
    for task in spec.objects:
        for name in _names(task, manifest):
            count = manifest.counts.get(task.kind, {}).get(name, 0)
            density = manifest.densities_per_mm2.get(task.kind, {}).get(name, 0.0)
            label = f'<i style="background:{css(name)}"></i>{escape(name)}'
            rows.append(
                f"<tr><th>{label}</th><td>{escape(task.kind)}</td><td>{count:,}</td><td>{density:,.1f}</td></tr>"
            )
    head = "<tr><th>class</th><th>kind</th><th>number</th><th>per mm² of tissue</th></tr>"
    return f"<table><thead>{head}</thead>{''.join(rows)}</table>"


def _areas(folder: Path, manifest: Manifest, spec: TaskSpec) -> str:
    size = int(manifest.slide["width_px"]), int(manifest.slide["height_px"])
    index = read_index(own_file(folder, OBJECTS_FILE), spec, size)
    charts = []
    for task in spec.objects:
        of_kind = index.columns["kind"] == index.kind_code(task.kind)
        for name in _names(task, manifest):
            code = index.classes.index(name) if name in task.classes else NO_WORD
            chosen = of_kind & (index.columns["class_code"] == code)
            charts.append(histogram(index.columns["area_um2"][chosen], css(name), name, "µm²"))
    return f"<div class=row>{''.join(charts)}</div>"


def _names(task: Task, manifest: Manifest) -> tuple[str, ...]:
    """What objects of a kind are counted as: its classes, or the kind; without class only where some are."""
    some = manifest.counts.get(task.kind, {}).get(UNCLASSIFIED)
    return (*task.classes, UNCLASSIFIED) if some else task.classes or (task.kind,)


def _tissue(manifest: Manifest, spec: TaskSpec) -> str:
    shares = _without_glass(manifest, spec)
    total = sum(shares.values())
    rows = "".join(
        f'<tr><th><i style="background:{css(name)}"></i>{escape(name)}</th><td>{area:.3f}</td>'
        f"<td>{area / total if total else 0:.1%}</td></tr>"
        for name, area in shares.items()
    )
    head = "<tr><th>class</th><th>mm²</th><th>share</th></tr>"
    note = f"<p class=faint>Area of the tissue mask: {manifest.tissue_area_mm2:.2f} mm².</p>"
    return f"{stacked(shares)}<table><thead>{head}</thead>{rows}</table>{note}"


def _without_glass(manifest: Manifest, spec: TaskSpec) -> dict[str, float]:
    names = spec.patch.classes[1:] if spec.patch else ()
    return {name: manifest.tissue_classes_mm2.get(name, 0.0) for name in names}


def _facts(manifest: Manifest, stain: str) -> str:
    about, model = manifest.slide, manifest.model
    rows = {
        "slide": f"{about['width_px']:,} x {about['height_px']:,} px, {about['vendor']}",
        "resolution": f"{about['mpp']:g} µm/px",
        "fingerprint": about["fingerprint"],
        "stain": stain,
        "model": f"{model['name']}, sha256 {model['sha256']}",
        "device": manifest.device,
        "seconds": ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in manifest.seconds.items()),
        "peak memory": f"{manifest.peak_memory_mb:,.0f} MB",
        "versions": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    }
    words = f"<pre>{escape(json.dumps(manifest.parameters, indent=1))}</pre>"
    return f"{_list(rows)}<details><summary>Parameters</summary>{words}</details>"


def _list(rows: Mapping[str, object]) -> str:
    lines = (f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in rows.items())
    return f"<dl>{''.join(lines)}</dl>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _image(path: Path, side_px: int, alternative: str, style: str = "") -> str:
    try:
        with Image.open(path) as picture:
            small = picture.convert("RGB")
    except (OSError, SyntaxError) as error:  # PIL raises both, depending on where a file is torn
        raise OutputError(
            f"expected a picture of the slide, found a damaged file {path.name} ({error}); "
            "run histocerb segment again"
        ) from error
    small.thumbnail((side_px, side_px))
    data = io.BytesIO()
    small.save(data, "JPEG", quality=_QUALITY)
    text = base64.b64encode(data.getvalue()).decode()
    return f'<img class="{style}" alt="{alternative}" src="data:image/jpeg;base64,{text}">'


def _write(path: Path, title: str, parts: Iterable[str]) -> Path:
    style = _STYLE.read_text(encoding="utf-8")
    head = "<!doctype html><html lang=en><meta charset=utf-8>"
    head += f"<title>{escape(title)}</title><style>{style}</style>"
    foot = f"<p class=faint>histocerb {__version__}</p></html>"
    try:
        with whole_file(path) as temporary:
            temporary.write_text(f"{head}{''.join(parts)}{foot}\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"expected to write {path.name}, found: {error.strerror or error}; "
            f"free space or change the rights of {path.parent}"
        ) from error
    return path
