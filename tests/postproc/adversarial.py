"""Head maps that are hard to post-process, as bytes: ties, nesting, contact, borders, extremes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from hypothesis import strategies as st

from histocerb.core.tasks import CERBERUS, TaskSpec

SHAPES = ((1, 1), (1, 37), (41, 1), (2, 30), (33, 47), (48, 48), (61, 40))


def _smooth(rng, shape, sigma, levels):
    field = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), sigma).reshape(shape)
    field = (field - field.mean()) / (field.std() + 1e-6)
    byte = 255 / (1 + np.exp(-2.5 * field))
    return (np.rint(byte / 255 * levels) / levels * 255).astype(np.uint8)


def blobs(rng, shape):
    sigma, levels = rng.choice([1.2, 2.5, 5.0]), rng.choice([2, 5, 20, 255])
    inside = _smooth(rng, shape, sigma, levels)
    return inside, np.minimum(_smooth(rng, shape, sigma / 2, levels), 255 - inside)


def rings(rng, shape):
    """Rings in rings, with gaps of a pixel here and there, around a centre that may lie outside."""
    y, x = np.indices(shape)
    centre = rng.uniform(0, 1, 2) * shape
    radius = (
        np.maximum(abs(y - centre[0]), abs(x - centre[1]))
        if rng.random() < 0.5
        else np.hypot(y - centre[0], x - centre[1])
    )
    period = rng.integers(4, 12)
    on = (radius % period) < rng.integers(1, period)
    inside = np.where(on, rng.integers(129, 256, shape), rng.integers(0, 127, shape))
    inside[rng.random(shape) < rng.choice([0.0, 0.02])] = 0
    contour = np.where(rng.random(shape) < rng.choice([0.05, 0.95, 1.0]), 200, 0)
    return inside.astype(np.uint8), np.minimum(contour, 255 - inside).astype(np.uint8)


def chains(rng, shape):
    """Discs that touch each other, contours between them."""
    y, x = np.indices(shape)
    inside = np.zeros(shape)
    for _ in range(rng.integers(1, 14)):
        row, column = rng.uniform(-3, shape[0] + 3), rng.uniform(-3, shape[1] + 3)
        depth = rng.uniform(3, 9) - np.hypot(y - row, x - column)
        inside = np.maximum(inside, np.clip(depth * rng.uniform(20, 80) + 60, 0, 255))
    inside = inside.astype(np.uint8)
    near = cv2.dilate(inside, np.ones((3, 3), np.uint8)).reshape(shape)
    return inside, np.where(inside < 128, near - inside, 0).astype(np.uint8)


def noise(rng, shape):
    inside = (rng.random(shape) < rng.choice([0.3, 0.5, 0.6, 0.8])) * rng.choice([130, 200, 255])
    contour = (rng.random(shape) < rng.choice([0.0, 0.3])) * (255 - inside)
    return inside.astype(np.uint8), contour.astype(np.uint8)


def checkerboard(rng, shape):
    y, x = np.indices(shape)
    side = rng.integers(1, 5)
    inside = np.where((y // side + x // side) % 2, 255, rng.choice([0, 100]))
    return inside.astype(np.uint8), np.full(shape, rng.choice([0, 60, 127]), np.uint8)


def comb(rng, shape):
    """Long thin things that wind through the whole image."""
    y, x = np.indices(shape)
    teeth = ((x % 6) < 3) | (y < 3)
    spiral = ((np.maximum(abs(y - shape[0] // 2), abs(x - shape[1] // 2)) % 7) < 4) & (x != shape[1] // 2 + 1)
    inside = np.where(teeth if rng.random() < 0.5 else spiral, rng.integers(128, 256, shape), 20)
    return inside.astype(np.uint8), np.zeros(shape, np.uint8)


def flat(rng, shape):
    value = rng.choice([0, 127, 128, 255])
    return np.full(shape, value, np.uint8), np.full(shape, rng.choice([0, 255 - value]), np.uint8)


FAMILIES = (blobs, rings, chains, noise, checkerboard, comb, flat)


@st.composite
def cases(draw, shapes=SHAPES):
    """(name, random generator, shape): enough to make maps from."""
    family, shape = draw(st.sampled_from(FAMILIES)), draw(st.sampled_from(shapes))
    return family, draw(st.integers(0, 2**32 - 1)), shape


def head_maps(case, spec: TaskSpec):
    """Bytes for all heads of `spec`: H x W x 3, and class maps H x W."""
    family, seed, shape = case
    rng = np.random.default_rng(seed)
    maps = {}
    for task in spec.objects:
        inside, contour = family(rng, shape)
        maps[task.heads[0].name] = np.stack([255 - inside - contour, inside, contour], axis=-1)
        if task.classes:
            types = rng.integers(0, len(task.classes) + 1, shape)
            maps[task.heads[1].name] = np.where(rng.random(shape) < 0.4, types, types[:1]).astype(np.uint8)
    return maps


def small_spec(gland_px=40, lumen_px=9, element_px=11, downsample=0.5, split=None, outer=True) -> TaskSpec:
    """The paper's tasks for small objects, divided at `split` (thresholds, px)."""
    split = {"split_thresholds": split[0], "split_px": split[1]} if split else {}
    change = {
        "nuclei": {"outer_contour": outer} | split,
        "gland": {"min_area_px": gland_px, "element_px": element_px, "downsample": downsample} | split,
        "lumen": {"min_area_px": lumen_px} | split,
    }
    tasks = tuple(
        replace(task, postproc=replace(task.postproc, **change.get(task.name, {}))) if task.postproc else task
        for task in CERBERUS.tasks
    )
    return TaskSpec("small", tasks)


def assert_same(found, expected):
    """Two tables are equal in every bit."""
    for name in ("class_code", "class_prob", "score", "centroid", "area_px", "bbox", "first_px"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    for name in ("points", "ring_offsets", "object_offsets"):
        np.testing.assert_array_equal(getattr(found.outlines, name), getattr(expected.outlines, name))
