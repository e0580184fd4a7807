"""Which object encloses which gap, for all objects at once and in linear time.

A gap is a 4-connected region of unlabelled pixels. An object encloses it when every 4-connected path from
the gap to the outside of the image passes through that object. In the graph whose nodes are the outside,
the objects and the gaps, and whose edges are shared pixel edges, that is: the object is a cut vertex
between gap and outside. Objects that enclose a gap are nested in each other; the innermost one, whose
filled area is smallest, is the nearest cut vertex above the gap in a depth-first tree (Tarjan 1972).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histocerb.core.compiled import compiled
from histocerb.postproc.arrays import I32, I64, Bool
from histocerb.postproc.runs import Runs, find_runs


@dataclass(frozen=True)
class Enclosures:
    """The gaps of a label map that lie in holes.

    Attributes:
        nodes: H x W int32, the region of each pixel (objects and gaps).
        encloser: per region, the label of the innermost object around a gap, 0 for others; entry 0 is
            unused.
        touches: per region, whether that object shares a pixel edge with the gap.
    """

    nodes: I32
    encloser: I32
    touches: Bool


def enclosures(labels: I32) -> Enclosures | None:
    """Find the innermost object around every gap; None where nothing is enclosed.

    Args:
        labels: H x W, every label one 4-connected region.
    """
    runs = find_runs(labels, zero_too=True)
    owner = np.append(np.int32(0), labels.ravel()[runs.first()])
    return enclosures_of(runs, owner)


def enclosures_of(runs: Runs, owner: I32) -> Enclosures | None:
    """Find the innermost object around every gap; None where nothing is enclosed.

    Args:
        runs: of all pixels.
        owner: per region, the label of its object, 0 for gaps; entry 0 is 0. A gap may be of several regions.
    """
    enclosed = owner == 0
    enclosed[runs.number[runs.at_border()]] = False
    if not enclosed[1:].any():
        return None
    nodes = runs.paint()
    starts, targets = _graph(_adjacent(nodes.ravel(), nodes.shape[1]), len(owner))
    encloser = _innermost(starts, targets, owner)
    encloser[owner > 0] = 0
    return Enclosures(nodes, encloser, _touching(starts, targets, owner, encloser))


def fill_holes(labels: I32) -> None:
    """Give every gap in a hole to the innermost object around it if it touches that object (in place)."""
    found = enclosures(labels)
    if found is not None:
        filled = np.where(found.touches, found.encloser, 0)
        np.copyto(labels, filled[found.nodes], where=labels == 0)


@compiled
def _adjacent(nodes: I32, width: int) -> I32:
    """Pairs of regions that share an edge (0 is the outside; a pair may repeat)."""
    pairs = np.empty((max(1024, nodes.size // 32), 2), np.int32)
    number, height = 0, nodes.size // width
    last_a, last_b = np.int64(-1), np.int64(-1)
    for row in range(height):
        if number + 3 * width > len(pairs):
            larger = np.empty((2 * len(pairs) + 3 * width, 2), np.int32)
            larger[:number] = pairs[:number]
            pairs = larger
        for column in range(width):
            pixel = row * width + column
            a = np.int64(nodes[pixel])
            outside = row == 0 or column == 0 or row == height - 1 or column == width - 1
            beyond = np.int64(0) if outside else a
            right = np.int64(nodes[pixel + 1]) if column + 1 < width else a
            below = np.int64(nodes[pixel + width]) if row + 1 < height else a
            if beyond == a and right == a and below == a:
                continue
            for b in (beyond, right, below):
                if a != b and (a != last_a or b != last_b):
                    pairs[number, 0], pairs[number, 1] = a, b
                    number += 1
                    last_a, last_b = a, b
    return pairs[:number].copy()


@compiled
def _graph(pairs: I32, count: int) -> tuple[I64, I32]:
    """Neighbours of node n: targets[starts[n]:starts[n + 1]]."""
    starts = np.zeros(count + 1, np.int64)
    for k in range(len(pairs)):
        starts[pairs[k, 0] + 1] += 1
        starts[pairs[k, 1] + 1] += 1
    starts = np.cumsum(starts)
    cursor, targets = starts.copy(), np.empty(2 * len(pairs), np.int32)
    for k in range(len(pairs)):
        a, b = pairs[k]
        targets[cursor[a]], targets[cursor[b]] = b, a
        cursor[a] += 1
        cursor[b] += 1
    return starts, targets


@compiled
def _innermost(starts: I64, targets: I32, owner: I32) -> I32:
    """Label of the nearest cut vertex with a label between each node and node 0."""
    count = len(starts) - 1
    found, low = np.zeros(count, np.int32), np.zeros(count, np.int32)  # time found (0: not yet), lowpoint
    parent, order, stack = np.zeros(count, np.int32), np.zeros(count, np.int32), np.zeros(count, np.int32)
    cursor = starts.copy()
    found[0] = low[0] = clock = 1
    depth = 0
    while depth >= 0:
        node = stack[depth]
        if cursor[node] == starts[node + 1]:
            depth -= 1
            low[parent[node]] = min(low[parent[node]], low[node])
            continue
        target = targets[cursor[node]]
        cursor[node] += 1
        if found[target] == 0:
            order[clock] = target
            clock += 1
            found[target] = low[target] = clock
            parent[target] = node
            depth += 1
            stack[depth] = target
        elif target != parent[node]:
            low[node] = min(low[node], found[target])
    encloser = np.zeros(count, np.int32)
    for node in order[1:clock]:
        above = parent[node]
        cut = owner[above] > 0 and low[node] >= found[above]
        encloser[node] = owner[above] if cut else encloser[above]
    return encloser


@compiled
def _touching(starts: I64, targets: I32, owner: I32, encloser: I32) -> Bool:
    touches = np.zeros(len(encloser), np.bool_)
    for node in range(1, len(encloser)):
        for target in targets[starts[node] : starts[node + 1]]:
            if encloser[node] > 0 and owner[target] == encloser[node]:
                touches[node] = True
    return touches
