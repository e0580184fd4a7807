"""Results of models that have some of the heads of their preset only."""

import struct

import pytest
from drawn import glands, nuclei, write_result
from PIL import Image
from served import NAME, Client, start

from histocerb.core.tasks import CERBERUS
from histocerb.web.report import write_slide_report
from histocerb.web.results import open_cohort
from histocerb.web.slides import SlideShelf

SLIDE = f"api/slides/{NAME}"
HEADS = {
    "nuclei": ["nuclei.instance", "nuclei.type"],
    "glands": ["gland.instance"],
    "lumina": ["gland.instance", "gland.type", "lumen.instance"],
    "tissue": ["nuclei.instance", "tissue.patch"],
    "nothing but tissue": ["tissue.patch"],
}


@pytest.fixture(params=HEADS)
def some(request, slide_file, tmp_path):
    """Which heads, and a cohort of one slide that a model with these was asked about."""
    heads = HEADS[request.param]
    folder = write_result(tmp_path / "trial" / NAME, slide_file, spec=CERBERUS.only(heads))
    Image.new("RGB", (30, 20)).save(folder / "overview.png")
    return heads, tmp_path / "trial"


@pytest.fixture
def asked(some):
    heads, out = some
    link, stop = start(out)
    yield heads, Client(link)
    stop()


def test_only_what_was_looked_for_is_shown(asked):
    heads, ask = asked
    spec = CERBERUS.only(heads)
    facts, words = ask.json(SLIDE), ask.json("api/cohort")
    for kinds in (facts["kinds"], words["kinds"]):
        typed = {kind["kind"]: kind["typed"] for kind in kinds}
        assert typed == {task.kind: bool(task.classes) for task in spec.objects}
    assert bool(facts["tissue"]) is bool(words["tissue"]) is bool(spec.patch)
    assert facts["container"] == ("gland" if "lumen.instance" in heads else None)


def test_objects_are_counted_and_found(asked):
    heads, ask = asked
    found = {kind: sum(of_kind.values()) for kind, of_kind in ask.json(f"{SLIDE}/counts").items()}
    sizes = {"nucleus": len(nuclei().codes), "gland": len(glands().codes), "lumen": 1}
    assert found == {task.kind: sizes[task.kind] for task in CERBERUS.only(heads).objects}
    if found:
        one = ask.json(f"{SLIDE}/objects/1")
        assert one["container"] is None
        assert (one["tissue"] is None) is ("tissue.patch" not in heads)


def test_squares_are_those_of_the_kinds(asked):
    heads, ask = asked
    body = ask(f"{SLIDE}/squares.bin").body
    _, kinds, size = struct.unpack_from("<3I", body)
    assert kinds == len(CERBERUS.only(heads).objects)
    assert len(body) == 12 + 4 * kinds * (1 + 2 * size)


def test_cells_of_tissue_are_those_that_there_are(asked):
    heads, ask = asked
    _, cells, classes = struct.unpack_from("<3I", ask(f"{SLIDE}/tissue.bin").body)
    assert (cells > 0, classes) == ((True, 9) if "tissue.patch" in heads else (False, 0))


def test_the_report_has_the_kinds(some):
    heads, out = some
    text = write_slide_report(open_cohort(out), NAME, SlideShelf()).read_text(encoding="utf-8")
    assert ("<h2>Tissue" in text) is ("tissue.patch" in heads)
    assert ("<td>nucleus</td>" in text) is ("nuclei.instance" in heads)
    assert (">plasma</th>" in text) is ("nuclei.type" in heads)
