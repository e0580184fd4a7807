"""Questions about the objects of a slide, without a server."""

import pyarrow as pa
import pyarrow.parquet as pq
from drawn import HEIGHT, WIDTH
from served import NAME

from histocerb.analysis.summary import count_objects
from histocerb.core.tasks import CERBERUS
from histocerb.web.index import read_index
from histocerb.web.queries import counts, rows_in


def test_objects_without_a_class_do_not_hide_those_of_a_class_named_like_their_kind(cohort, tmp_path):
    table = pq.read_table(cohort / NAME / "objects.parquet")
    classes = table["class"].to_pylist()
    classes[classes.index("surface-epithelium")] = None
    column = pa.array(classes).dictionary_encode()
    table = table.set_column(table.schema.get_field_index("class"), "class", column)
    pq.write_table(table, tmp_path / "objects.parquet")
    index = read_index(tmp_path / "objects.parquet", CERBERUS, (WIDTH, HEIGHT))
    found = counts(index, rows_in(index, None))
    assert found["gland"] == {"gland": 1, "surface-epithelium": 0, "unclassified": 1}
    written = count_objects(table, CERBERUS)
    assert {k: {n: c for n, c in of.items() if c} for k, of in found.items()} == written
