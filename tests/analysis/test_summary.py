import pyarrow as pa
import pytest

from histocerb.analysis.summary import add_counts, count_objects, densities, no_objects
from histocerb.core.tasks import CERBERUS


@pytest.fixture
def objects():
    kinds = ["nucleus", "nucleus", "nucleus", "lumen", "gland", "gland", "nucleus"]
    classes = ["plasma", "plasma", None, None, "gland", None, "connective"]
    return pa.table({"kind": pa.array(kinds).dictionary_encode(), "class": pa.array(classes)})


def test_counts_per_kind_and_class(objects):
    assert count_objects(objects, CERBERUS) == {
        "nucleus": {"plasma": 2, "connective": 1, "unclassified": 1},
        "gland": {"gland": 1, "unclassified": 1},
        "lumen": {"lumen": 1},
    }


def test_sum_names_every_class(objects):
    counts = count_objects(objects, CERBERUS)
    total = add_counts(no_objects(CERBERUS), add_counts(counts, counts))
    assert total["nucleus"]["plasma"] == 4
    assert total["nucleus"]["eosinophil"] == 0
    assert total["gland"] == {"gland": 2, "surface-epithelium": 0, "unclassified": 2}


def test_densities():
    assert densities({"gland": {"gland": 3}}, 1.5) == {"gland": {"gland": 2.0}}
    assert densities({"gland": {"gland": 3}}, 0.0) == {"gland": {"gland": 0.0}}
