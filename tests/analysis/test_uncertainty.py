import numpy as np
import pyarrow as pa
import pytest

from histocerb.analysis.objects import Scale, object_classes
from histocerb.analysis.tissue import TissueCells, tissue_rows
from histocerb.analysis.uncertainty import Bins, Weights, terms, tissue_share
from histocerb.core.tasks import CERBERUS, PRESETS, TaskSpec

SCALE = Scale(slide_mpp=0.25, working_mpp=0.5)
ONE_BIN = Bins(1000.0, 1000.0, 1, 1, SCALE)
KINDS = tuple(task.kind for task in CERBERUS.objects)
TISSUE = CERBERUS.patch.classes
DEFAULT = Weights()


def words(values, names):
    return pa.DictionaryArray.from_arrays(
        pa.array([None if v is None else names.index(v) for v in values], pa.int8()), pa.array(names)
    )


def table(*rows):
    """Rows of (kind, class, class_prob, score, gland_id, tissue), ids from 1, all at (10, 10)."""
    kind, name, prob, score, gland, tissue = zip(*rows, strict=True) if rows else ((),) * 6
    return pa.table(
        {
            "object_id": pa.array(range(1, len(rows) + 1), pa.int64()),
            "kind": words(kind, KINDS),
            "class": words(name, object_classes(CERBERUS)),
            "class_prob": pa.array(prob, pa.float32()),
            "score": pa.array(score, pa.float32()),
            "x": pa.array([10.0] * len(rows), pa.float32()),
            "y": pa.array([10.0] * len(rows), pa.float32()),
            "gland_id": pa.array(gland, pa.int64()),
            "tissue": words(tissue, TISSUE),
        }
    )


def tissue(*probabilities):
    """One row of cells; None for a cell that was not predicted."""
    cells = [np.full(9, np.nan) if p is None else p for p in probabilities]
    return tissue_rows(
        CERBERUS, TissueCells(TISSUE, np.array(cells, np.float32).reshape(1, -1, len(TISSUE))), SCALE
    )


def means(objects, cells=None, weights=DEFAULT):
    found = terms(objects, tissue() if cells is None else cells, ONE_BIN, CERBERUS, weights)
    return {term.words: pytest.approx(term.total.sum() / term.count.sum()) for term in found}


def sure(name):
    return np.eye(9)[TISSUE.index(name)]


def nucleus(name="connective", prob=1.0, score=1.0, gland=None, where="stroma"):
    return ("nucleus", name, prob, score, gland, where)


def gland(where="normal-epithelium", score=1.0):
    return ("gland", "gland", 1.0, score, None, where)


@pytest.mark.parametrize("spec", PRESETS.values(), ids=list(PRESETS))
def test_every_preset_has_all_terms(spec):
    """Glass is not proposed, and heads that contradict each other are."""
    objects = table(nucleus("epithelial"), ("lumen", None, None, 1.0, None, "stroma"))
    words = {term.words for term in terms(objects, tissue(sure("stroma")), ONE_BIN, spec, DEFAULT)}
    assert any("outside gland" in text for text in words)
    assert "lumen without gland" in words
    assert tissue_share(tissue(sure("background")), ONE_BIN, spec).tolist() == [[0]]


def test_doubt_of_the_model_itself():
    found = means(table(nucleus(score=0.9, prob=0.6), nucleus(score=0.7), gland(score=0.75)))
    assert found["nucleus outlines are unsure"] == 0.2
    assert found["nucleus classes are mixed"] == 0.2
    assert found["gland outlines are unsure"] == 0.25
    assert found["gland classes are mixed"] == 0
    assert not any("lumen" in name for name in found)


def test_what_is_unknown_does_not_count():
    found = means(table(nucleus(prob=None), nucleus(prob=0.5), nucleus(score=float("nan"), prob=None)))
    assert found["nucleus classes are mixed"] == 0.5
    assert found["nucleus outlines are unsure"] == 0


def test_tissue_entropy_of_what_is_no_background():
    flat, halved = np.full(9, 1 / 9) + 1e-6 * sure("debris"), (sure("muscle") + sure("stroma")) / 2
    single = Bins(144.0, 144.0, 3, 1, SCALE)
    (term,) = terms(table(), tissue(flat, halved, sure("background")), single, CERBERUS, Weights())
    assert term.total.tolist() == [pytest.approx([1, np.log(2) / np.log(9), 0], abs=1e-6)]
    assert term.count.tolist() == [[1, 1, 0]]
    assert tissue_share(tissue(flat, None, sure("muscle")), single, CERBERUS).tolist() == [[1, 0, 1]]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (nucleus("epithelial"), 1),
        (nucleus("epithelial", where=None), 1),
        (nucleus("epithelial", gland=7), 0),
        (nucleus("epithelial", where="abnormal-epithelium"), 0),
    ],
)
def test_stray_epithelial_nuclei(row, expected):
    found = means(table(row, nucleus("lymphocyte"), nucleus("connective", gland=7)))
    assert found["epithelial nucleus outside gland and epithelium"] == expected


def test_other_nuclei_are_nowhere_strange():
    found = means(table(nucleus("lymphocyte", gland=3), nucleus("connective", gland=3, where="muscle")))
    assert set(found) == {"nucleus outlines are unsure", "nucleus classes are mixed"}


def test_glands_that_cannot_be():
    found = means(table(gland(), gland("muscle"), gland("background"), gland("stroma")))
    assert found["gland in tissue that has none"] == 0.5


def test_glands_need_an_epithelial_nucleus():
    inside = [nucleus("epithelial", gland=1), nucleus("connective", gland=2)]
    assert means(table(gland(), gland(), *inside))["gland without epithelial nucleus"] == 0.5


def test_lumina_need_a_gland():
    lumina = [("lumen", None, None, 1.0, gland_id, "stroma") for gland_id in (None, 1, 1, 1)]
    assert means(table(gland(), *lumina))["lumen without gland"] == 0.25


def test_weight_0_leaves_a_term_out():
    rows = table(gland("muscle"))
    assert "gland in tissue that has none" in means(rows)
    assert "gland in tissue that has none" not in means(rows, weights=Weights(misplaced=0.0))


def test_glands_are_not_reproached_with_nuclei_that_nobody_looked_for():
    spec = CERBERUS.only(["gland.instance", "gland.type", "lumen.instance"])
    found = terms(table(gland(), ("lumen", None, None, 1.0, None, None)), tissue(), ONE_BIN, spec, DEFAULT)
    words = {term.words for term in found}
    assert "lumen without gland" in words
    assert not any("nucleus" in text for text in words)


def test_other_specs_have_no_contradictions():
    spec = TaskSpec("nuclei only", (CERBERUS.task("nuclei"),))
    found = terms(table(nucleus("epithelial", score=0.5)), tissue(), ONE_BIN, spec, Weights())
    assert [term.words for term in found] == ["nucleus outlines are unsure", "nucleus classes are mixed"]
