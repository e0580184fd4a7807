"""Reading what QuPath exports: GeoJSON features with their class and polygons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from histocerb.core.errors import DataError
from histocerb.core.geometry import Region
from histocerb.core.outlines import Float

_LEAST_FILLED = 0.99

Polygon = list[Float]
"""Rings without their repeated last point: the exterior and holes, turned as `Outlines` wants them."""


@dataclass(frozen=True)
class Feature:
    """An annotation.

    Attributes:
        class_name: as in the file, "" where it has none.
        polygons: its parts, in level-0 pixels.
    """

    class_name: str
    polygons: tuple[Polygon, ...]

    def rectangle(self) -> Region | None:
        """The rectangle that it is, rounded to whole pixels; None for any other shape."""
        exterior = self.polygons[0][0]
        low, high = exterior.min(axis=0), exterior.max(axis=0)
        if len(self.polygons) > 1 or len(self.polygons[0]) > 1:
            return None
        if _area(exterior) < _LEAST_FILLED * float(np.prod(high - low)):
            return None
        (left, top), (right, bottom) = np.round([low, high]).astype(int).tolist()
        return Region(left, top, right - left, bottom - top)


def read_features(path: Path) -> list[Feature]:
    """The features of a file in their order, without those that have no area.

    Args:
        path: a FeatureCollection, a list of features, or one feature; UTF-8.

    Raises:
        DataError: the file is missing, is no GeoJSON, or has another geometry than polygons.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: expected GeoJSON of QuPath, found {error.strerror}; export it") from error
    except ValueError as error:
        raise DataError(f"{path}: expected GeoJSON of QuPath, found {error}; export it again") from error
    if isinstance(content, dict):
        content = content.get("features", [content])
    if not isinstance(content, list) or not all(isinstance(found, dict) for found in content):
        raise DataError(f"{path}: expected GeoJSON features, found other JSON; export it from QuPath again")
    features = (_feature(number, found, path) for number, found in enumerate(content))
    return [feature for feature in features if feature.polygons]


def corners(features: Sequence[Feature]) -> Float:
    """Left, top, right and bottom of the smallest rectangle of whole pixels around each: N x 4."""
    parts = ([polygon[0] for polygon in feature.polygons] for feature in features)
    points = [np.concatenate(exteriors) for exteriors in parts]
    rows = [(*np.floor(found.min(axis=0)), *np.ceil(found.max(axis=0))) for found in points]
    return np.array(rows, np.float64).reshape(-1, 4)


def _feature(number: int, found: dict[str, Any], path: Path) -> Feature:
    geometry = found.get("nucleusGeometry") or found.get("geometry") or {"type": "Polygon", "coordinates": []}
    try:
        kind, coordinates = geometry["type"], geometry["coordinates"]
        if kind not in ("Polygon", "MultiPolygon"):
            raise DataError(
                f"{path}: expected polygons, found a {kind} as feature {number}; delete it in QuPath"
            )
        parts = coordinates if kind == "MultiPolygon" else [coordinates]
        polygons = tuple(polygon for part in parts if (polygon := _polygon(part)))
        return Feature(_class_name(found.get("properties") or {}), polygons)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(
            f"{path}: expected a feature with polygons and a class, found {error} in feature {number}; "
            "export it from QuPath again"
        ) from error


def _class_name(properties: dict[str, Any]) -> str:
    classification = properties.get("classification") or {}
    if isinstance(classification, str):
        return classification
    names = classification.get("names")
    return str(classification.get("name") or (": ".join(names) if names else ""))


def _polygon(coordinates: Sequence[Any]) -> Polygon:
    """Exterior and holes; nothing where the exterior has no area."""
    rings = [_ring(points) for points in coordinates]
    if not rings or len(rings[0]) < 3 or _area(rings[0]) == 0:
        return []
    exterior, *holes = rings
    turned = [exterior if _signed(exterior) > 0 else exterior[::-1]]
    return turned + [hole if _signed(hole) < 0 else hole[::-1] for hole in holes if len(hole) >= 3]


def _ring(points: Sequence[Any]) -> Float:
    ring = np.array([point[:2] for point in points], np.float64).reshape(-1, 2)
    if not np.isfinite(ring).all():
        raise ValueError("a coordinate that is no number")
    return ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring


def _signed(ring: Float) -> float:
    following = np.roll(ring, -1, axis=0)
    return float(np.sum(ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1])) / 2


def _area(ring: Float) -> float:
    return abs(_signed(ring))
