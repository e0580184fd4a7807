"""The experiments that ship with the package: runs that agree, figures as in the paper."""

from __future__ import annotations

from pathlib import Path

import pytest

from histocerb.core.config_file import read_config, read_document
from histocerb.core.tasks import CERBERUS_ERODED
from histocerb.training.config import TrainConfig
from histocerb.training.experiment.files import read_experiment
from histocerb.training.experiment.plan import Experiment, Row, jobs

CONFIGS = Path(__file__).parents[3] / "configs"
TABLES = {path.stem: path for path in CONFIGS.rglob("*.toml") if "rows" in read_document(path)}
RUNS = sorted(path for path in (CONFIGS / "paper").glob("*.toml") if path not in TABLES.values())

TOTALS = {
    "table2": (9.781, 0.440),
    "table3": (10.985, 0.665),
    "table4": (61.966, 2.754),
    "table5": (3.665, 0.016),
    "table7": (8.793, 0.298),
}
"""Sums of all means and of all SDs of the paper, added up when they were compared with it."""


@pytest.fixture(scope="module")
def tables() -> dict[str, Experiment]:
    return {name: read_experiment(path) for name, path in TABLES.items()}


def _row(experiment: Experiment, name: str) -> Row:
    return next(row for row in experiment.rows if row.name == name)


def test_the_tables_of_the_paper_are_there(tables: dict[str, Experiment]) -> None:
    assert set(TOTALS) <= set(tables)


@pytest.mark.parametrize("name", TOTALS)
def test_the_papers_figures_are_as_they_were_compared(tables: dict[str, Experiment], name: str) -> None:
    figures = [one for row in tables[name].rows for section in row.paper for one in section]
    sums = tuple(round(sum(values), 3) for values in zip(*figures, strict=True))
    assert sums == TOTALS[name]
    assert all(row.paper for row in tables[name].rows if row.shown)


def test_figures_that_the_paper_prints_twice_are_equal(tables: dict[str, Experiment]) -> None:
    """The U-Net and Cerberus of Table 3 are those of Table 4: PQ of glands and lumina."""
    for third, fourth in (("U-Net", "U-Net STL Fixed"), ("Cerberus", "IN-MTL+PC")):
        (figures,), (cross, external) = (
            _row(tables["table3"], third).paper,
            _row(tables["table4"], fourth).paper,
        )
        assert figures == (cross[3], external[3], cross[5], external[5])


def test_networks_of_several_tables_are_trained_once(tables: dict[str, Experiment]) -> None:
    names = {name: {job.name for job in jobs(table)} for name, table in tables.items()}
    shared = set.intersection(*(names[name] for name in TOTALS))
    assert sorted(name.split(".")[0] for name in shared) == ["cerberus"] * 3
    assert len(names["table3"] & names["table4"]) == 3 * 3


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_targets_and_tasks_agree(path: Path) -> None:
    """Without contours in the targets, objects are found without contours."""
    config = read_config(path, TrainConfig)
    assert (config.tasks == CERBERUS_ERODED.name) is not config.crops.contour
    assert [stage.steps for stage in config.stages] == [90_000]
    assert config.sampler.batch_size == 27


@pytest.mark.parametrize("name", TOTALS)
def test_rows_of_a_table_have_agreeing_targets(tables: dict[str, Experiment], name: str) -> None:
    for row in tables[name].rows:
        for run in row.runs:
            assert (run.config.tasks == CERBERUS_ERODED.name) is not run.config.crops.contour, row.name
