"""Tasks, heads and classes as data: the one place that spells their names.

A `TaskSpec` says what a network predicts and how its head maps become objects. Everything else
(decoders, targets, losses, post-processing, tables, colours) is derived from it, so that other
tissue, classes or tasks need another spec and no other code.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum

WORKING_MPP = 0.5
"""Micrometres per pixel at which networks see the tissue."""

CELL_PX = 144
"""Side of a tissue cell in working pixels (72 um)."""


class HeadKind(StrEnum):
    """What the channels of a head mean."""

    INSTANCE = "instance"
    """Per pixel: background, inside (eroded object), contour."""
    TYPE = "type"
    """Per pixel: none, then the classes of the object that the pixel belongs to."""
    PATCH = "patch"
    """Per cell of 144 x 144 working pixels: tissue classes."""


@dataclass(frozen=True)
class Head:
    """One output of the network, named `task.kind`."""

    name: str
    kind: HeadKind
    channels: tuple[str, ...]
    """Channel names in order; instance and type heads begin with the background."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that an object or a cell can have (without the `none` channel of type heads)."""
        return self.channels[1:] if self.kind is HeadKind.TYPE else self.channels


class Grouping(StrEnum):
    """How touching objects of a kind are told apart."""

    WATERSHED = "watershed"
    """Markers are inside pixels; contour pixels are shared out by watershed (nuclei)."""
    GROW = "grow"
    """Contour pixels separate; each component is grown back and its holes are filled (glands, lumina)."""


@dataclass(frozen=True)
class PostprocParams:
    """Constants of `from head maps to objects`, all at 0.5 um/px.

    Areas are multiplied by `downsample**2` and the growth disk by `downsample`.
    """

    grouping: Grouping
    threshold: float
    """On inside + contour (watershed) or on inside minus thresholded contour (grow)."""
    min_area_px: int
    """Smaller components are dropped."""
    min_marker_px: int = 0
    """Smaller markers are dropped."""
    marker_threshold: float = 0.5
    """On inside, for markers (watershed only)."""
    split_thresholds: tuple[float, ...] = ()
    """On inside, rising: what holds several parts above one of them is divided among these."""
    split_px: int = 0
    """Smaller parts do not count for that."""
    contour_threshold: float = 0.5
    element_px: int = 3
    """Diameter of the ellipse by which targets were eroded."""
    outer_contour: bool = True
    """Contours of targets reach beyond objects by that ellipse, and a watershed takes one pixel off, as
    released; False: both end where the object ends."""
    grow_px: int = 0
    """Diameter of the ellipse by which components are grown (grow only); 0: `element_px` - 1, as released."""
    downsample: float = 1.0
    """0.5: computed at 1.0 um/px."""
    within: str | None = None
    """Name of the task whose objects must contain these; pixels outside are removed."""
    class_temperature: float = 1.0
    """1: `class_prob` is the share of an object's pixels that are of its class, as released; else that share,
    calibrated (see `postproc.calibrate`)."""


@dataclass(frozen=True)
class Task:
    """Something to find (objects of one kind) or to tell (tissue classes)."""

    name: str
    kind: str
    """Word for one object in tables: nucleus, gland, lumen; `tissue` for cells."""
    heads: tuple[Head, ...]
    postproc: PostprocParams | None = None
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names for sets of classes that some data sets do not tell apart: {"inflammatory": (...)}."""

    def head(self, kind: HeadKind) -> Head | None:
        """The head of that kind, or None."""
        return next((head for head in self.heads if head.kind is kind), None)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the type or patch head; empty where objects are not typed."""
        head = self.head(HeadKind.TYPE) or self.head(HeadKind.PATCH)
        return head.classes if head else ()


@dataclass(frozen=True)
class TaskSpec:
    """All tasks of one network."""

    name: str
    tasks: tuple[Task, ...]

    @property
    def heads(self) -> tuple[Head, ...]:
        """Every head, in order of tasks."""
        return tuple(head for task in self.tasks for head in task.heads)

    @property
    def objects(self) -> tuple[Task, ...]:
        """Tasks that find objects, ordered so that a container comes before its content."""
        found = [task for task in self.tasks if task.postproc is not None]
        return tuple(sorted(found, key=lambda task: _depth(task, self)))

    @property
    def patch(self) -> Task | None:
        """The task that classifies cells of tissue, if there is one."""
        return next((task for task in self.tasks if task.head(HeadKind.PATCH)), None)

    def only(self, heads: Collection[str]) -> TaskSpec:
        """The tasks that have one of these heads, without their other heads."""
        kept = (
            replace(task, heads=tuple(head for head in task.heads if head.name in heads))
            for task in self.tasks
        )
        return replace(self, tasks=tuple(task for task in kept if task.heads))

    def container_of(self, task: Task) -> Task | None:
        """The task in whose objects those of `task` lie; None also where a network has no head for it."""
        within = task.postproc.within if task.postproc else None
        return next((other for other in self.tasks if other.name == within), None)

    def task(self, name: str) -> Task:
        """The task of that name; KeyError if there is none."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(name)

    def task_of_kind(self, kind: str) -> Task:
        """The task whose objects are called `kind`; KeyError if there is none."""
        for task in self.tasks:
            if task.kind == kind:
                return task
        raise KeyError(kind)


def _depth(task: Task, spec: TaskSpec) -> int:
    container = spec.container_of(task)
    return 0 if container is None else 1 + _depth(container, spec)


_INSTANCE_CHANNELS = ("background", "inside", "contour")

CERBERUS = TaskSpec(
    name="cerberus",
    tasks=(
        Task(
            name="nuclei",
            kind="nucleus",
            heads=(
                Head("nuclei.instance", HeadKind.INSTANCE, _INSTANCE_CHANNELS),
                Head(
                    "nuclei.type",
                    HeadKind.TYPE,
                    ("none", "neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective"),
                ),
            ),
            postproc=PostprocParams(
                grouping=Grouping.WATERSHED, threshold=0.5, min_area_px=8, min_marker_px=4, element_px=3
            ),
            groups={"inflammatory": ("neutrophil", "lymphocyte", "plasma", "eosinophil")},
        ),
        Task(
            name="gland",
            kind="gland",
            heads=(
                Head("gland.instance", HeadKind.INSTANCE, _INSTANCE_CHANNELS),
                Head("gland.type", HeadKind.TYPE, ("none", "gland", "surface-epithelium")),
            ),
            postproc=PostprocParams(
                grouping=Grouping.GROW, threshold=0.55, min_area_px=1000, element_px=11, downsample=0.5
            ),
        ),
        Task(
            name="lumen",
            kind="lumen",
            heads=(Head("lumen.instance", HeadKind.INSTANCE, _INSTANCE_CHANNELS),),
            postproc=PostprocParams(
                grouping=Grouping.GROW, threshold=0.5, min_area_px=150, element_px=3, within="gland"
            ),
        ),
        Task(
            name="tissue",
            kind="tissue",
            heads=(
                Head(
                    "tissue.patch",
                    HeadKind.PATCH,
                    (
                        "background",
                        "abnormal-epithelium",
                        "normal-epithelium",
                        "inflammatory",
                        "muscle",
                        "stroma",
                        "debris",
                        "mucous",
                        "adipose",
                    ),
                ),
            ),
        ),
    ),
)
"""The tasks of the paper."""


def _without_contour(task: Task) -> Task:
    """The same task with objects found from their eroded shapes alone: no contour shares out pixels."""
    if task.postproc is None or task.postproc.grouping is not Grouping.WATERSHED:
        return task
    element_px = task.postproc.element_px
    grow = replace(task.postproc, grouping=Grouping.GROW, min_marker_px=0, grow_px=element_px)
    return replace(task, postproc=grow)


CERBERUS_ERODED = replace(
    CERBERUS, name="cerberus-eroded", tasks=tuple(_without_contour(task) for task in CERBERUS.tasks)
)
"""The tasks of the paper for networks that learn eroded objects only (paper's "Cerberus")."""

PRESETS: dict[str, TaskSpec] = {spec.name: spec for spec in (CERBERUS, CERBERUS_ERODED)}

_PLURALS = {"nucleus": "nuclei", "lumen": "lumina"}


def plural(kind: str) -> str:
    """Word for several objects of a kind."""
    return _PLURALS.get(kind, f"{kind}s")


MARKS: dict[str, tuple[str, ...]] = {
    "nucleus-centre": (*CERBERUS.task("nuclei").classes, *CERBERUS.task("nuclei").groups),
    "signet-ring-cell": ("signet-ring-cell",),
}
"""Kinds of marks that data sets give instead of outlines, with the classes that they can have."""
