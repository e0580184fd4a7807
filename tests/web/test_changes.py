"""Outlines along the borders of working pixels, compared at resolutions that these do not fit."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from served import NAME

from histocerb.analysis.objects import Scale, object_rows
from histocerb.core.instances import InstanceTable
from histocerb.core.tasks import CERBERUS
from histocerb.inference.manifest import read_manifest, write_manifest
from histocerb.metrics.matching import match
from histocerb.postproc.outlines import trace
from histocerb.slides.reader import working_mpp
from histocerb.web.changes import compare
from histocerb.web.opened import Desk
from histocerb.web.results import open_cohort

SIDE = 600


def discs():
    """Ids of small discs, 24 pixels from each other."""
    random, ids = np.random.default_rng(0), np.zeros((SIDE, SIDE), np.int32)
    row, column = np.mgrid[:SIDE, :SIDE] + 0.5
    for number, (y, x) in enumerate(np.ndindex(SIDE // 24, SIDE // 24), start=1):
        y, x = 24 * np.array([y, x]) + 12 + random.uniform(-2, 2, 2)
        near = np.s_[int(y) - 10 : int(y) + 11, int(x) - 10 : int(x) + 11]
        ry, rx = random.uniform(3, 7, 2)
        ids[near][((row[near] - y) / ry) ** 2 + ((column[near] - x) / rx) ** 2 < 1] = number
    return ids


def result(cohort, out, ids, mpp):
    """A copy of a result with these nuclei, and the resolution of the slide changed."""
    folder = shutil.copytree(cohort / NAME, out / NAME)
    manifest = read_manifest(folder)
    write_manifest(folder, replace(manifest, slide=manifest.slide | {"mpp": mpp}))
    count, outlines = ids.max(), trace(ids, ids.max())
    corners = np.array(
        [[*ring.min(axis=0), *ring.max(axis=0)] for ring, *_ in map(outlines.rings, range(count))]
    )
    table = InstanceTable(
        kind="nucleus",
        classes=CERBERUS.task_of_kind("nucleus").classes,
        class_code=np.zeros(count, np.int16),
        class_prob=np.ones(count, np.float32),
        score=np.ones(count, np.float32),
        centroid=(corners[:, :2] + corners[:, 2:]) / 2,
        area_px=np.bincount(ids.ravel())[1:].astype(float),
        bbox=corners,
        first_px=corners[:, 1::-1].astype(np.int64),
        outlines=outlines,
    )
    nowhere = np.zeros(count, np.int64)
    rows = object_rows(CERBERUS, table, 1, Scale(mpp, working_mpp(mpp)), nowhere, nowhere.astype(np.int16))
    pq.write_table(rows, folder / "objects.parquet", row_group_size=100)
    return Desk(open_cohort(out)).result(NAME)


@pytest.mark.parametrize("mpp", [0.25, 0.46, 1.0])
def test_partners_are_those_of_the_pixels(cohort, tmp_path, mpp):
    ids = discs()
    moved = np.roll(ids, (1, 2), axis=(0, 1))
    found = match(ids, moved)
    same = found.iou > 0.5
    wanted = np.full(ids.max(), -1)
    wanted[found.truth[same]] = found.pred[same]
    assert 0.2 < np.mean(wanted < 0) < 0.8
    first, second = result(cohort, tmp_path / "a", ids, mpp), result(cohort, tmp_path / "b", moved, mpp)
    assert compare(first, second, lambda _: None).partners[0].tolist() == wanted.tolist()
