from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.tasks import CERBERUS
from histocerb.postproc import postprocess
from histocerb.postproc.calibrate import SURE, calibrated, share_logit, tempered

SHARES = np.linspace(0, 1, 201)


def test_a_temperature_of_1_leaves_shares_as_they_are():
    assert (calibrated(SHARES, 1.0) == SHARES.astype(np.float32)).all()


@settings(deadline=None)
@given(st.floats(0.2, 20))
def test_the_order_stays_and_what_has_no_class_keeps_0(temperature):
    found = calibrated(SHARES, temperature)
    assert found[0] == 0
    assert (np.diff(found[1:]) >= 0).all()
    assert found[100] == pytest.approx(0.5)
    assert found[-1] <= 1


def test_above_1_it_doubts_and_below_it_trusts():
    sure = SHARES[101:199]
    assert (calibrated(sure, 2.0) < sure).all()
    assert (calibrated(sure, 0.5) > sure).all()


def test_the_logit_is_divided():
    assert tempered(share_logit(np.array([0.8])), 2.0) == pytest.approx(1 / (1 + (0.2 / 0.8) ** 0.5))
    assert share_logit(np.array([1.0])) == pytest.approx(np.log(SURE / (1 - SURE)))


def test_objects_get_it():
    """One nucleus with most of its pixels in agreement."""
    inside = np.zeros((12, 12, 3), np.float32)
    inside[..., 0] = 1
    inside[2:10, 2:10] = (0, 1, 0)
    types = np.zeros((12, 12, 7), np.float32)
    types[..., 2] = 1
    types[:, 8:] = 0
    types[:, 8:, 3] = 1
    maps = {"nuclei.instance": inside, "nuclei.type": types}
    plain = CERBERUS.only(maps)
    task = plain.task("nuclei")
    changed = replace(task, postproc=replace(task.postproc, class_temperature=2.0))
    share = postprocess(maps, plain)["nuclei"].class_prob
    found = postprocess(maps, replace(plain, tasks=(changed,)))["nuclei"]
    assert found.class_names() == ["epithelial"]
    assert 0.7 < share[0] < 0.9
    assert found.class_prob == pytest.approx(calibrated(share, 2.0))
