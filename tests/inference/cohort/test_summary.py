from __future__ import annotations

import json
from dataclasses import replace

import pytest

from histocerb.core.tasks import CERBERUS, TaskSpec
from histocerb.inference.cohort.failures import Failure, remember
from histocerb.inference.cohort.summary import STAGES, summarise, summary_schema, write_summary
from histocerb.inference.manifest import Manifest, Status, read_manifest, write_manifest

SLIDE = {
    "path": "/x/a.svs",
    "fingerprint": "f",
    "width_px": 30,
    "height_px": 20,
    "mpp": 0.25,
    "vendor": "aperio",
}
COUNTS = {
    "nucleus": {"plasma": 6, "neutrophil": 2},
    "gland": {"gland": 3, "surface-epithelium": 1},
    "lumen": {"lumen": 4},
}


@pytest.fixture
def manifest():
    return Manifest(
        status=Status.DONE,
        key="k",
        slide=SLIDE,
        model={"name": "m", "sha256": "s", "tasks": "cerberus"},
        parameters={},
        counts=COUNTS,
        tissue_area_mm2=2.0,
        tissue_classes_mm2={"stroma": 1.5},
        windows=7,
        seconds=dict.fromkeys(STAGES[:-1], 1.0),
        peak_memory_mb=9.5,
        device="cpu",
        versions={"histocerb": "1.2"},
    )


def test_row_says_what_the_manifest_says(manifest, tmp_path):
    write_manifest(tmp_path / "a", manifest)
    (row,) = write_summary(tmp_path, CERBERUS).to_pylist()
    assert row["name"] == "a"
    assert row["slide"] == "/x/a.svs"
    assert (row["model_sha256"], row["histocerb_version"], row["windows"]) == ("s", "1.2", 7)
    assert (row["nucleus_count"], row["nucleus_per_mm2"]) == (8, 4.0)
    assert (row["nucleus_plasma_count"], row["nucleus_plasma_per_mm2"]) == (6, 3.0)
    assert (row["nucleus_lymphocyte_count"], row["nucleus_lymphocyte_per_mm2"]) == (0, 0.0)
    assert (row["gland_count"], row["gland_gland_count"], row["gland_surface-epithelium_count"]) == (4, 3, 1)
    assert (row["lumen_count"], row["lumen_per_mm2"]) == (4, 2.0)
    assert (row["tissue_mm2"], row["tissue_stroma_mm2"], row["tissue_muscle_mm2"]) == (2.0, 1.5, 0.0)
    assert (row["seconds_network"], row["seconds_overview"], row["peak_memory_mb"]) == (1.0, None, 9.5)


def test_columns_follow_from_the_tasks(manifest, tmp_path):
    assert summarise(tmp_path, CERBERUS).schema.equals(summary_schema(CERBERUS))
    names = summary_schema(CERBERUS).names
    assert len(names) == len(set(names))
    for task in CERBERUS.objects:
        for name in task.classes:
            assert {f"{task.kind}_{name}_count", f"{task.kind}_{name}_per_mm2"} <= set(names)
    nuclei = TaskSpec("nuclei", (CERBERUS.task("nuclei"),))
    assert not [name for name in summary_schema(nuclei).names if name.startswith(("gland", "tissue_s"))]


def test_what_was_not_looked_for_is_null(manifest, tmp_path):
    write_manifest(tmp_path / "a", replace(manifest, counts={"nucleus": {"plasma": 6}}, tissue_area_mm2=0.0))
    (row,) = summarise(tmp_path, CERBERUS).to_pylist()
    assert (row["nucleus_plasma_count"], row["nucleus_plasma_per_mm2"]) == (6, 0.0)
    assert (row["nucleus_neutrophil_count"], row["gland_count"], row["lumen_per_mm2"]) == (0, None, None)


def test_only_complete_results_have_a_row(manifest, tmp_path):
    for name in "dbac":
        write_manifest(tmp_path / name, manifest)
    write_manifest(tmp_path / "b", replace(manifest, status=Status.RUNNING))
    write_manifest(tmp_path / "e", replace(manifest, status=Status.FAILED))
    remember(tmp_path, Failure("c.svs", "c", "another model", other_result=True))
    remember(tmp_path, Failure("d.svs", "d", "no such file"))
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "manifest.json").write_text("damaged")
    assert summarise(tmp_path, CERBERUS)["name"].to_pylist() == ["a", "d"]


def test_carried_columns_come_last_in_the_order_of_names(manifest, tmp_path):
    for name, columns in (("b", {"y": "1", "z": ""}), ("a", {"x": "2", "tissue_mm2": "lies"}), ("c", {})):
        write_manifest(tmp_path / name, manifest)
        (tmp_path / name / "columns.json").write_text(json.dumps(columns))
    (tmp_path / "c" / "columns.json").write_text("[]")
    table = summarise(tmp_path, CERBERUS)
    assert table.column_names[len(summary_schema(CERBERUS)) :] == ["x", "y", "z"]
    assert table.select(["x", "y", "z", "tissue_mm2"]).to_pylist() == [
        {"x": "2", "y": None, "z": None, "tissue_mm2": 2.0},
        {"x": None, "y": "1", "z": None, "tissue_mm2": 2.0},
        {"x": None, "y": None, "z": None, "tissue_mm2": 2.0},
    ]


def test_stages_are_those_of_the_engine(scans, segment, tmp_path):
    segment(scans / "a.png")
    assert set(read_manifest(tmp_path / "out" / "a").seconds) == set(STAGES)
