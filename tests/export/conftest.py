import numpy as np
import pyarrow as pa
import pytest
import shapely

from histocerb.core.outlines import Outlines
from histocerb.core.wkb import encode_polygons

KINDS = ("gland", "lumen", "nucleus")
CLASSES = ("gland", "plasma", "lymphocyte")
SQUARE = np.array([(0, 0), (8, 0), (8, 8), (0, 8)], float)
HOLE = np.array([(2, 2), (2, 4), (4, 4), (4, 2)], float)


def words(values, names):
    indices = pa.array([None if v is None else names.index(v) for v in values], pa.int8())
    return pa.DictionaryArray.from_arrays(indices, pa.array(names))


@pytest.fixture
def polygons() -> list[shapely.Polygon]:
    places = [(0.0, 0.0), (30.25, 40.5), (1e5 + 0.125, 7.0), (0.1234567, 3.0), (5.0, 5.0)]
    return [
        shapely.Polygon(SQUARE + place, [HOLE + place] * (index % 2)) for index, place in enumerate(places)
    ]


@pytest.fixture
def table(polygons) -> pa.Table:
    rings = [[shapely.get_coordinates(ring)[:-1] for ring in (p.exterior, *p.interiors)] for p in polygons]
    return pa.table(
        {
            "object_id": pa.array([3, 1, 2**40, 7, 8]),
            "kind": words(["gland", "lumen", "nucleus", "nucleus", "nucleus"], KINDS),
            "class": words(["gland", None, "plasma", "lymphocyte", None], CLASSES),
            "class_prob": pa.array([0.5, None, 1.0, 0.25, None], pa.float32()),
            "score": pa.array([0.9, 0.8, 0.1, 1e-7, float("nan")], pa.float32()),
            "area_um2": pa.array([16.0, 15.0, 1e7, 0.5, 16.0], pa.float32()),
            "geometry": encode_polygons(Outlines.from_rings(rings)),
        }
    )
