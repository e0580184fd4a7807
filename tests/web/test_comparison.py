"""Two results of the same slide: what was lost, what is new, what has another class."""

import csv
import io
import json
import shutil
import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from drawn import changed_nuclei, nuclei
from PIL import Image
from served import NAME, Client
from test_server import in_box, picture, read_tile

from histocerb.core.errors import OutputError, UsageError
from histocerb.inference.manifest import read_manifest, write_manifest
from histocerb.web import comparison as comparison_module
from histocerb.web.changes import CHANGE_COLOURS, Change, compare
from histocerb.web.comparison import Comparison
from histocerb.web.opened import Desk
from histocerb.web.results import open_cohort

SLIDE = f"api/slides/{NAME}"
OTHER = "compared/api/slides/again"
CHANGED, BEFORE = changed_nuclei()


@pytest.fixture(scope="module")
def ask(both_link) -> Client:
    return Client(both_link)


def ready(ask):
    """The state of the comparison once it is done."""
    for _ in range(300):
        found = ask.json(f"{SLIDE}/changes")
        if found["stamp"]:
            return found
        assert 0 <= found["share"] < 1
        time.sleep(0.2)
    raise AssertionError("never compared")


def expected():
    lost = len(BEFORE.lost) + len(BEFORE.moved)
    retyped = len(BEFORE.retyped)
    return {
        "first": {"matched": len(nuclei().places) - lost - retyped, "retyped": retyped, "lost": lost},
        "second": {
            "matched": len(nuclei().places) - lost - retyped,
            "retyped": retyped,
            "new": len(BEFORE.moved) + len(BEFORE.new),
        },
    }


def test_slides_are_paired_by_what_they_are_and_not_by_name(ask):
    found = ask.json("api/cohort")["compared"]
    assert found == {"titles": ["trial", "other"], "pairs": {NAME: "again"}}
    assert ready(ask)["other"] == "again"


def test_counts_of_changes(ask):
    assert min(len(part) for part in (BEFORE.lost, BEFORE.retyped, BEFORE.moved, BEFORE.new)) > 10
    ready(ask)
    first, second = ask.json(f"{SLIDE}/counts?shown=changes"), ask.json(f"{OTHER}/counts?shown=changes")
    assert (first["nucleus"], second["nucleus"]) == (expected()["first"], expected()["second"])
    assert first["gland"] == {"matched": 2, "retyped": 0, "lost": 0}
    assert second["lumen"] == {"matched": 1, "retyped": 0, "new": 0}
    assert sum(ask.json(f"{OTHER}/counts")["nucleus"].values()) == len(CHANGED.places), "classes stay there"


def test_counts_of_changes_on_the_screen(ask):
    corners = "300,200,1100,200,1100,900,300,900"
    got = ask.json(f"{SLIDE}/counts?shown=changes&corners={corners}")["nucleus"]
    seen = np.flatnonzero(in_box(nuclei(), 300, 200, 1100, 900))
    assert got["lost"] == np.isin(seen, [*BEFORE.lost, *BEFORE.moved]).sum()
    assert got["retyped"] == np.isin(seen, BEFORE.retyped).sum()


def test_outlines_carry_changes_in_place_of_classes(ask):
    ready(ask)
    tile = read_tile(ask(f"{SLIDE}/outlines/nucleus/1/0_0.bin?shown=changes").body)
    first_id = ask.json(f"{SLIDE}/gallery?kind=nucleus&count=1")["rows"][0]["id"]
    words = list(Change)
    for number, code in zip(tile["ids"] - first_id, tile["code"], strict=True):
        wanted = "lost" if number in {*BEFORE.lost, *BEFORE.moved} else "matched"
        assert words[code] == ("retyped" if number in BEFORE.retyped else wanted)


def test_dots_have_the_colours_of_changes(ask):
    ready(ask)
    got = picture(ask(f"{SLIDE}/dots/nucleus/3/0_0.webp?shown=changes&classes=lost"))
    x, y = (np.floor(axis / 8).astype(int) for axis in nuclei().places[:, :2].T)
    is_lost = np.isin(np.arange(len(x)), [*BEFORE.lost, *BEFORE.moved])
    assert np.array_equal(got[y, x, 3] > 200, is_lost)
    assert np.abs(got[y, x, :3][is_lost].astype(int) - CHANGE_COLOURS["lost"]).max() <= 4


def taken_away(ask, query=""):
    answer = ask(f"{SLIDE}/changes/selection.csv?{query}")
    assert f"{NAME}-changes.csv" in answer.headers["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(answer.body.decode())))


def test_what_became_of_objects_is_taken_away_as_csv(ask):
    rows = taken_away(ask, "off=gland,lumen")
    found = Counter(row["change"] for row in rows)
    assert found == Counter(expected()["first"]) + Counter({"new": expected()["second"]["new"]})
    by_change = {change: [row for row in rows if row["change"] == change] for change in found}
    assert {row["result"] for row in by_change["new"]} == {"other"}
    assert {row["result"] for row in by_change["lost"]} == {"trial"}
    assert not any(row["other_id"] for row in (*by_change["lost"], *by_change["new"]))
    assert all(row["class"] == row["other_class"] and row["other_id"] for row in by_change["matched"])
    assert all(row["class"] != row["other_class"] and row["other_class"] for row in by_change["retyped"])
    one = by_change["retyped"][0]
    other = ask.json(f"{OTHER}/objects/{one['other_id']}")
    assert (other["class"], other["x"]) == (one["other_class"], pytest.approx(float(one["x"]) + 1, abs=0.1))


def test_only_what_is_on_the_screen_and_switched_on_is_taken_away(ask):
    corners = "300,200,1100,200,1100,900,300,900"
    rows = taken_away(ask, f"corners={corners}&off=gland,lumen,nucleus/matched,nucleus/new")
    seen = np.flatnonzero(in_box(nuclei(), 300, 200, 1100, 900))
    wanted = {"lost": [*BEFORE.lost, *BEFORE.moved], "retyped": BEFORE.retyped}
    assert Counter(row["change"] for row in rows) == {
        change: np.isin(seen, numbers).sum() for change, numbers in wanted.items()
    }
    plasma = taken_away(ask, f"corners={corners}&off=gland,lumen,nucleus/plasma&shown=classes")
    assert len(plasma) > 100
    assert "plasma" not in {row["class"] for row in plasma}


def test_what_became_of_objects_is_taken_away_as_geojson(ask):
    answer = ask(f"{SLIDE}/changes/selection.geojson?off=lumen")
    features = json.loads(answer.body)["features"]
    assert (
        len({one["id"] for one in features})
        == len(features)
        == 2 + sum(Counter(expected()["first"]).values(), expected()["second"]["new"])
    )
    names = Counter(one["properties"]["classification"]["name"].split(": ")[0] for one in features)
    assert names["lost"] == expected()["first"]["lost"]
    shades = {
        one["properties"]["classification"]["name"]: one["properties"]["classification"]["color"]
        for one in features
    }
    assert shades["lost: plasma"] == list(CHANGE_COLOURS["lost"])
    assert shades["matched: surface-epithelium"] == list(CHANGE_COLOURS["matched"])


@pytest.mark.parametrize("change", ["lost", "new", "retyped", None])
def test_the_list_has_every_difference_once(ask, change):
    ready(ask)
    query = f"{SLIDE}/changes/list?kind=nucleus&by=area_um2&count=200" + (
        f"&class_name={change}" if change else ""
    )
    wanted = expected()["first"] | expected()["second"]
    del wanted["matched"]
    page = ask.json(query)
    rows = page["rows"]
    while len(rows) < page["total"]:
        rows += ask.json(f"{query}&start={len(rows)}")["rows"]
    assert len(rows) == (wanted[change] if change else sum(wanted.values()))
    seen = {(row["first"] and row["first"]["id"], row["second"] and row["second"]["id"]) for row in rows}
    assert len(seen) == len(rows)
    for row in rows:
        has = row["first"] is not None, row["second"] is not None
        assert has == {"lost": (True, False), "new": (False, True), "retyped": (True, True)}[row["change"]]
        if all(has):
            assert row["first"]["class"] != row["second"]["class"]
            assert abs(row["first"]["x"] - row["second"]["x"]) == 1


def test_an_object_leads_to_the_same_one_of_the_other_result(ask):
    ready(ask)
    row = ask.json(f"{SLIDE}/changes/list?kind=nucleus&class_name=retyped&count=1")["rows"][0]
    for side, of in enumerate(("first", "second")):
        assert ask.json(f"{SLIDE}/changes/{side}/{row[of]['id']}") == row
    lost = ask.json(f"{SLIDE}/changes/list?kind=nucleus&class_name=lost&count=1")["rows"][0]
    assert ask.json(f"{SLIDE}/changes/0/{lost['first']['id']}")["second"] is None


def test_pictures_show_both_outlines(ask):
    ready(ask)
    row = ask.json(f"{SLIDE}/changes/list?kind=nucleus&class_name=new&count=1")["rows"][0]
    body = ask(f"{SLIDE}/changes/1/{row['second']['id']}/crop.jpg").body
    got = np.asarray(Image.open(io.BytesIO(body))).astype(int)
    blue = np.abs(got - CHANGE_COLOURS["new"]).sum(axis=2) < 90
    assert got.shape == (160, 160, 3)
    assert blue.sum() > 50


def test_pictures_are_kept_under_the_stamp_of_both_results(ask):
    stamp = ready(ask)["stamp"]
    page = ask.json(f"{SLIDE}/changes/list?kind=nucleus&class_name=retyped&count=1")
    assert page["stamp"] == stamp
    path = f"{SLIDE}/changes/0/{page['rows'][0]['first']['id']}/crop.jpg"
    assert "immutable" in ask(f"{path}?v={stamp}").headers["Cache-Control"]
    of_first = ask.json(SLIDE)["stamp"]
    assert ask(f"{path}?v={of_first}").headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    "path", ["list?kind=cell", "list?kind=nucleus&class_name=matched", "list?kind=nucleus&by=z", "0/999999"]
)
def test_what_does_not_exist_is_said(ask, path):
    answer = ask(f"{SLIDE}/changes/{path}")
    assert answer.status == 404
    assert json.loads(answer.body)["error"].startswith("expected")


def test_the_second_result_needs_the_token_too(ask):
    assert ask(OTHER, token=False).status == 403
    assert ask(f"{SLIDE}/changes", token=False).status == 403
    assert ask("compared/api/slides/..%2fagain").status in (404, 405)


def test_one_result_has_no_changes(link):
    answer = Client(link)(f"{SLIDE}/counts?shown=changes")
    assert answer.status == 404
    assert "--compare" in json.loads(answer.body)["error"]


def test_results_of_other_slides_are_refused(cohort, tmp_path):
    copy = shutil.copytree(cohort, tmp_path / "trial")
    manifest = read_manifest(copy / NAME)
    write_manifest(copy / NAME, replace(manifest, slide=manifest.slide | {"fingerprint": "another"}))
    with pytest.raises(UsageError, match="expected two results of the same slide, found no slide that both"):
        Comparison(Desk(open_cohort(cohort)), Desk(open_cohort(copy)))


def test_a_slide_that_only_one_result_has_is_said(cohort, other):
    both = Comparison(Desk(open_cohort(cohort)), Desk(open_cohort(other)))
    with pytest.raises(UsageError, match="expected a slide that other has too, found 'later' only here"):
        both.partner("later")


def test_a_comparison_is_told_how_far_it_is_and_can_be_ended(cohort, other, monkeypatch):
    first, second = Desk(open_cohort(cohort)), Desk(open_cohort(other))
    both, begun, may_go = Comparison(first, second), threading.Event(), threading.Event()
    seen = []

    def slowly(one, another, progress):
        def watched(share):
            seen.append(share)
            begun.set()
            may_go.wait(20)
            progress(share)

        return compare(one, another, watched)

    monkeypatch.setattr(comparison_module, "compare", slowly)
    assert both.share(NAME) < 1
    assert begun.wait(20)
    both.close()
    may_go.set()
    with pytest.raises(Exception, match="the viewer ending"):
        both.differences(NAME)
    assert len(seen) == 1


def test_whatever_ends_a_comparison_is_said(cohort, other, monkeypatch):
    def broken(*_):
        raise ValueError("what nobody foresaw")

    monkeypatch.setattr(comparison_module, "compare", broken)
    both = Comparison(Desk(open_cohort(cohort)), Desk(open_cohort(other)))
    with pytest.raises(OutputError, match=r"drawn-1: expected .* ValueError \(what nobody foresaw\); run"):
        both.differences(NAME)


def test_a_result_that_changes_is_compared_anew(cohort, other, tmp_path):
    copy = shutil.copytree(other, tmp_path / "other")
    both = Comparison(Desk(open_cohort(cohort)), Desk(open_cohort(copy)))
    before = both.differences(NAME).changes
    assert both.differences(NAME).changes is before
    shutil.copy(cohort / NAME / "objects.parquet", copy / "again" / "objects.parquet")
    after = both.differences(NAME).changes
    assert (after.partners[0] >= 0).all()
    assert after.stamp != before.stamp
