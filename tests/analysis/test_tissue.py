import numpy as np
import pyarrow.parquet as pq
import pytest

from histocerb.analysis.objects import Scale
from histocerb.analysis.summary import tissue_areas_mm2
from histocerb.analysis.tissue import TissueCells, prob_column, read_tissue, tissue_rows
from histocerb.core.errors import OutputError
from histocerb.core.instances import NO_CLASS
from histocerb.core.tasks import CERBERUS


@pytest.fixture
def cells():
    """3 x 2 cells, of which the upper right was not predicted."""
    probabilities = np.zeros((3, 2, 9), np.float32)
    probabilities[..., 5] = 0.6
    probabilities[2, 1] = np.eye(9)[4]
    probabilities[0, 1] = np.nan
    return TissueCells(CERBERUS.patch.classes, probabilities)


def test_most_probable_class_of_each_cell(cells):
    assert cells.codes.tolist() == [[5, NO_CLASS], [5, 5], [5, 4]]
    assert cells.codes_at(np.array([[143.9, 0], [144.0, 0], [200.0, 300.0]])).tolist() == [5, NO_CLASS, 4]


def test_no_cells_at_all():
    cells = TissueCells((), np.zeros((0, 0, 0), np.float32))
    assert cells.codes_at(np.array([[3.0, 4.0]])).tolist() == [NO_CLASS]


def test_rows_are_the_predicted_cells_in_raster_order(cells):
    rows = tissue_rows(CERBERUS, cells, Scale(slide_mpp=0.25, working_mpp=0.5)).to_pylist()
    assert [(row["column"], row["row"]) for row in rows] == [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    assert rows[-1]["class"] == "muscle"
    assert (rows[-1]["x"], rows[-1]["y"], rows[-1]["width"]) == (288, 576, 288)
    assert rows[0][prob_column("stroma")] == pytest.approx(0.6)


def test_area_per_class(cells):
    rows = tissue_rows(CERBERUS, cells, Scale(slide_mpp=0.25, working_mpp=0.5))
    assert tissue_areas_mm2(rows, 0.25) == pytest.approx({"muscle": 0.072**2, "stroma": 4 * 0.072**2})


def test_tissue_table_read_back(cells, tmp_path):
    rows = tissue_rows(CERBERUS, cells, Scale(slide_mpp=0.25, working_mpp=0.5))
    path = tmp_path / "tissue.parquet"
    with pytest.raises(OutputError, match=r"found no .*tissue\.parquet"):
        read_tissue(path)
    pq.write_table(rows, path)
    assert read_tissue(path).equals(rows)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(OutputError, match="damaged"):
        read_tissue(path)
