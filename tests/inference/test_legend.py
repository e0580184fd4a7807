"""The panel beside the picture of a slide."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import ImageDraw

from histocerb.analysis.summary import add_counts, no_objects
from histocerb.core.tasks import CERBERUS
from histocerb.inference.legend import legend


@pytest.fixture
def written(monkeypatch):
    """All texts that are drawn."""
    texts = []
    plain = ImageDraw.ImageDraw.text

    def text(draw, xy, words, *more, **options):
        texts.append(words)
        return plain(draw, xy, words, *more, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return texts


@pytest.mark.parametrize("count", [0, 1234])
def test_objects_without_a_class_have_a_line_where_there_are_any(written, count):
    picture, tissue = np.full((900, 900, 3), 255, np.uint8), pa.table({"class": pa.array([], pa.string())})
    counts = add_counts(no_objects(CERBERUS), {"nucleus": {"plasma": 7, "unclassified": count}})
    page = legend(picture, CERBERUS, counts, tissue, "slide", 0.5)
    assert page.shape[0] == 900
    assert written[written.index("nuclei") + 1] == f"{7 + count:,}"
    assert ("unclassified" in written) is (count > 0)
    assert not count or written[written.index("unclassified") + 1] == "1,234"
