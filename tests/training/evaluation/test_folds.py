from __future__ import annotations

from statistics import stdev

import pytest

from histocerb.training.evaluation import over_folds


def document(**figures):
    return {"summary": {"all": {"nuclei": figures}, "glas": {"gland": {"pq": 0.25}}}}


def summary(mean):
    return {"n": 3, "mean": mean, "sd": 0.1, "low": mean, "high": mean}


def test_mean_and_sd_over_folds():
    values = (0.58, 0.6, 0.63)
    found = over_folds([document(pq=summary(value), images=3) for value in values])["nuclei"]
    assert found["pq"] == {
        "folds": list(values),
        "mean": pytest.approx(0.60333, abs=1e-4),
        "sd": stdev(values),
    }
    assert found["images"]["mean"] == 3


def test_nested_figures_have_dots_and_lists_are_left_out():
    types = {"mf1": summary(0.5), "f1": {"plasma": 0.4}, "confusion": {"classes": ["a"], "counts": [[1]]}}
    found = over_folds([document(types=types)])["nuclei"]
    assert set(found) == {"types.mf1", "types.f1.plasma"}
    assert found["types.mf1"] == {"folds": [0.5], "mean": 0.5, "sd": None}


def test_folds_without_the_figure():
    nothing = {"n": 0, "mean": None, "sd": None, "low": None, "high": None}
    found = over_folds([document(pq=summary(0.5)), document(pq=nothing), document(), document(pq=0.7)])
    assert found["nuclei"]["pq"]["folds"] == [0.5, None, None, 0.7]
    assert found["nuclei"]["pq"]["mean"] == pytest.approx(0.6)


def test_one_source_and_no_document():
    assert over_folds([document(), document()], source="glas")["gland"]["pq"]["sd"] == 0
    assert over_folds([document()], source="crag") == {}
    assert over_folds([]) == {}
