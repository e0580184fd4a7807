"""Slow, plain post-processing of a whole image: one object at a time, with scipy, scikit-image and OpenCV.

It works on the same definitions as the library and shares none of its code: label maps only.
"""

from __future__ import annotations

import heapq

import cv2
import numpy as np
from scipy import ndimage

CROSS = ndimage.generate_binary_structure(2, 1)


def components(mask):
    """4-connected components as boolean masks, in raster order of first pixels."""
    labels, count = ndimage.label(mask, CROSS)
    found = [labels == k for k in range(1, count + 1)]
    return sorted(found, key=lambda one: np.flatnonzero(one)[0])


def large(mask, least):
    return [one for one in components(mask) if one.sum() >= least]


def union(masks, shape):
    return np.any(masks, axis=0) if masks else np.zeros(shape, bool)


def largest_piece(mask):
    return max(components(mask), key=lambda one: one.sum())  # max keeps the first of equals


def to_labels(objects, shape):
    """Number disjoint masks in raster order of their first pixels."""
    labels = np.zeros(shape, np.int32)
    for k, one in enumerate(sorted(objects, key=lambda one: np.flatnonzero(one)[0]), 1):
        labels[one] = k
    return labels


def holes(mask):
    return ndimage.binary_fill_holes(mask, CROSS) & ~mask


def innermost(masks):
    """H x W index of the smallest filled mask that has the pixel in a hole, -1 where there is none."""
    owner = np.full(masks[0].shape, -1)
    filled_area = [(one | holes(one)).sum() for one in masks]
    for k in sorted(range(len(masks)), key=lambda k: (filled_area[k], k), reverse=True):
        owner[holes(masks[k])] = k
    return owner


def watershed(markers, mask, inside):
    """Flood by priority (value, age); the pixels of the markers first, in raster order."""
    labels = np.where(mask, markers, 0)
    height, width = mask.shape
    queue = [(-int(inside[y, x]), 0, n, (y, x)) for n, (y, x) in enumerate(np.argwhere(labels > 0))]
    heapq.heapify(queue)
    age = 0
    while queue:
        level, _, _, (row, column) = heapq.heappop(queue)
        for y, x in ((row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)):
            if 0 <= y < height and 0 <= x < width and mask[y, x] and labels[y, x] == 0:
                age += 1
                labels[y, x] = labels[row, column]
                heapq.heappush(queue, (max(level, -int(inside[y, x])), age, 0, (y, x)))
    return labels


def marker_labels(inside, contour, params, mask):
    """Markers with their holes filled, as a label map."""
    labels = np.zeros(inside.shape, np.int32)
    found = large(inside / 255 > params.marker_threshold, params.min_marker_px)
    for k, one in enumerate(found, 1):
        labels[one] = k
    if not found:
        return labels
    own, around = labels.copy(), innermost(found)
    for unit in components(mask | (own > 0)):
        for k, one in enumerate(found, 1):
            if (one & unit).any():
                labels[unit & (own == 0) & (around == k - 1)] = k
    return labels


def nuclei(inside, contour, params):
    """Label map of objects by watershed."""
    raw = (inside.astype(int) + contour) / 255 > params.threshold
    if params.outer_contour:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (params.element_px, params.element_px))
        raw = cv2.erode(raw.astype(np.uint8), kernel).astype(bool).reshape(raw.shape)
    mask = union(large(raw, params.min_area_px), raw.shape)
    whole = marker_labels(inside, contour, params, mask)
    markers, parts = np.zeros_like(whole), []
    for k in range(1, whole.max() + 1):
        parts += surest(whole == k, inside, params)
    for k, one in enumerate(parts, 1):
        markers[one] = k
    flooded = watershed(markers, mask, inside)
    return to_labels([largest_piece(flooded == k) for k in np.unique(flooded[flooded > 0])], raw.shape)


def grown(seeds, kernel):
    """Every seed dilated; contested pixels to the nearest, then the earliest."""
    shape, anchor = seeds[0].shape, len(kernel) // 2
    best, owner = np.full(shape, np.inf), np.full(shape, -1)
    for k, seed in enumerate(seeds):
        distance = np.full(shape, np.inf)
        for row, column in np.argwhere(kernel):
            dy, dx = row - anchor, column - anchor
            moved = ndimage.shift(seed.astype(np.uint8), (-dy, -dx), order=0, mode="constant").astype(bool)
            distance[moved] = np.minimum(distance[moved], dy * dy + dx * dx)
        assert (
            np.isfinite(distance) == cv2.dilate(seed.astype(np.uint8), kernel).reshape(shape).astype(bool)
        ).all()
        owner[distance < best] = k
        best = np.minimum(best, distance)
    return [largest_piece(owner == k) for k in range(len(seeds))]


def surest(region, inside, params):
    """A region, or the parts that it gives way to."""
    found, least = [region], params.split_px * params.downsample**2
    for threshold in params.split_thresholds:
        parts = [large(one & (inside / 255 > threshold), least) for one in found]
        found = [part for k, one in enumerate(found) for part in (parts[k] if len(parts[k]) > 1 else [one])]
    return found


def divided(seed, inside, params):
    """A seed, or its parts where it holds several surer ones."""
    found = surest(seed, inside, params)
    if len(found) < 2:
        return [seed]
    markers = sum(k * one.astype(np.int32) for k, one in enumerate(found, 1))
    flooded = watershed(markers, seed, inside)
    return [flooded == k for k in range(1, len(found) + 1)]


def glands(inside, contour, params, container=None):
    """Label map of objects by growth."""
    shape, ds = inside.shape, params.downsample
    least = params.min_area_px * ds**2
    fg = inside / 255 - (contour / 255 > params.contour_threshold) > params.threshold
    seeds = [part for seed in large(fg, least) for part in divided(seed, inside, params)]
    seeds.sort(key=lambda one: np.flatnonzero(one)[0])
    if not seeds:
        return np.zeros(shape, np.int32)
    size = max(1, int((params.element_px - 1) * ds))
    objects = grown(seeds, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    around = np.where(union(objects, shape), -1, innermost(objects))
    for gap in components(~union(objects, shape)):
        k = around[gap][0]
        if k >= 0 and (ndimage.binary_dilation(gap, CROSS) & objects[k]).any():
            objects[k] = objects[k] | gap
    if container is not None:
        objects = [piece for one in objects for piece in large(one & container, least)]
    return to_labels(objects, shape)


def reduced(values, by):
    """Means of by x by bytes, rounded half up."""
    height, width = values.shape
    out = np.zeros((-(-height // by), -(-width // by)), np.uint8)
    for row, column in np.ndindex(*out.shape):
        total = 0
        for y, x in np.ndindex(by, by):
            total += int(values[min(row * by + y, height - 1), min(column * by + x, width - 1)])
        out[row, column] = int(total / by**2 + 0.5)
    return out


def segment(inside, contour, params, container=None):
    """Label map at working resolution, numbered in raster order, from bytes at working resolution."""
    by = round(1 / params.downsample)
    inside, contour = reduced(inside, by), reduced(contour, by)
    if params.grouping == "watershed":
        return nuclei(inside, contour, params)
    return glands(inside, contour, params, None if container is None else container[::by, ::by])


def at_working_resolution(labels, by, shape):
    return labels.repeat(by, 0).repeat(by, 1)[: shape[0], : shape[1]]


def rows(labels, inside, types, channels, by, shape):
    """Per object: class code, class share, score, centroid, area, bounding box, first pixel."""
    out, full = [], at_working_resolution(labels, by, shape)
    for k in range(1, labels.max() + 1):
        y, x = np.nonzero(full == k)
        code, share = -1, 0.0
        if types is not None:
            votes = np.bincount(types[labels == k], minlength=channels)
            order = sorted(range(channels), key=lambda c: (-votes[c], c))
            best = next((c for c in order if c != 0 and votes[c]), 0)
            code, share = best - 1, votes[best] / votes.sum() if best else 0.0
        score = inside[labels == k].mean() / 255
        box = (x.min(), y.min(), x.max() + 1, y.max() + 1)
        out.append((code, share, score, (x + 0.5).mean(), (y + 0.5).mean(), len(x), *box, y[0], x[0]))
    return out
