"""Two results of a slide by models that look for different things."""

import csv
import io
import json
from collections import Counter

import pytest
from drawn import glands, nuclei, write_result
from served import NAME, Client, start

from histocerb.core.tasks import CERBERUS

CHANGES = f"api/slides/{NAME}/changes"
HEADS = {
    "all": [head.name for head in CERBERUS.heads],
    "nuclei": ["nuclei.instance"],
    "tissue": ["tissue.patch"],
}
NUCLEI, GLANDS = len(nuclei().codes), len(glands().codes)


@pytest.fixture(scope="module")
def results(slide_file, tmp_path_factory):
    """Folders of results by the heads of their models."""
    out = tmp_path_factory.mktemp("heads")
    for name, heads in HEADS.items():
        write_result(out / name / NAME, slide_file, spec=CERBERUS.only(heads))
    return out


@pytest.fixture(scope="module", params=[("all", "nuclei"), ("nuclei", "all"), ("tissue", "all")])
def pair(request, results):
    """Which two results, and who asks about them."""
    first, second = request.param
    link, stop = start(results / first, compare=results / second)
    yield (first, second), Client(link)
    stop()


def test_differences_of_a_kind_are_listed_if_either_has_it(pair):
    (first, _), ask = pair
    page = ask.json(f"{CHANGES}/list?kind=gland")
    assert [row["change"] for row in page["rows"]] == ["lost" if first == "all" else "new"] * GLANDS
    answer = ask(f"{CHANGES}/list?kind=cell")
    assert (answer.status, b"expected a kind of" in answer.body) == (404, True)


def taken(ask, query):
    rows = list(csv.reader(io.StringIO(ask(f"{CHANGES}/selection.csv?{query}").body.decode())))
    assert {len(row) for row in rows} == {len(rows[0])}
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def test_files_have_the_columns_of_both(pair):
    both, ask = pair
    rows = taken(ask, "off=lumen")
    assert Counter(row["kind"] for row in rows) == {"nucleus": NUCLEI, "gland": GLANDS}
    known = [row for row in rows if row["result"] == "all"]
    assert any(row["gland_id"] for row in known) is (both != ("nuclei", "all"))
    assert {row["gland_id"] for row in rows if row["result"] == "nuclei"} <= {""}
    features = json.loads(ask(f"{CHANGES}/selection.geojson?off=lumen,nucleus").body)["features"]
    assert {one["properties"]["objectType"] for one in features} == {"annotation"}


def test_what_one_result_lacks_is_switched_off_in_the_other(pair):
    (first, _), ask = pair
    rows = taken(ask, "off=gland/gland,lumen,nucleus/plasma&shown=classes")
    found = Counter((row["result"], row["kind"]) for row in rows)
    typed = NUCLEI - (nuclei().codes == 3).sum()
    assert found == {
        ("all", "gland"): GLANDS - 1,
        **({("nuclei", "nucleus"): NUCLEI} if first == "nuclei" else {("all", "nucleus"): typed}),
    }
    for off in ("cell", "nucleus/neuron"):
        answer = ask(f"{CHANGES}/selection.csv?off={off}&shown=classes")
        assert (answer.status, b"expected a" in answer.body) == (404, True)
