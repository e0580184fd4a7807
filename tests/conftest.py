"""Fixtures for all rooms."""

from pathlib import Path

import numpy as np
import pytest
import tifffile


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real images beside the checkout (`../shared/data`); skips where there is none."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}")
    return folder


ORIGIN = (700, 600)
SCANNED_PX = 1024
_NM = 500
_VIEW = """<image name="{name}" uuid="{name}"><creationDate>2012-01-01T00:00:00Z</creationDate>
<device model="x" version="1"/><pixels sizeX="{side}" sizeY="{side}">
<dimension sizeX="{side}" sizeY="{side}" r="0" ifd="{page}"/></pixels>
<view sizeX="{size}" sizeY="{size}" offsetX="{x}" offsetY="{y}" spacingZ="0"/><scanSettings>
<objectiveSettings><objective>20</objective></objectiveSettings><illuminationSettings>
<numericalAperture>0.4</numericalAperture><illuminationSource>brightfield</illuminationSource>
</illuminationSettings></scanSettings></image>"""


@pytest.fixture
def framed_slide(tmp_path) -> Path:
    """A Leica SCN file: a scanned area of 1,024 px at `ORIGIN` in a frame of 2,048 px, with a dark rectangle.

    It lies at x 500 to 640, y 300 to 400 of the area.
    """
    area = np.full((SCANNED_PX, SCANNED_PX, 3), 230, np.uint8)
    area[300:400, 500:640] = (60, 20, 90)
    whole = 2048 * _NM
    x, y = (place * _NM for place in ORIGIN)
    macro = _VIEW.format(name="macro", side=512, page=0, size=whole, x=0, y=0)
    main = _VIEW.format(name="main", side=SCANNED_PX, page=1, size=SCANNED_PX * _NM, x=x, y=y)
    head = '<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01" uuid="x">'
    frame = f'<collection name="c" uuid="y" sizeX="{whole}" sizeY="{whole}" barcode="">'
    xml = f'<?xml version="1.0" encoding="utf-8"?>\n{head}{frame}{macro}{main}</collection></scn>'
    plain = {"tile": (256, 256), "photometric": "rgb", "metadata": None}
    plain |= {"resolution": (1e7 / _NM, 1e7 / _NM), "resolutionunit": "CENTIMETER"}
    path = tmp_path / "framed.scn"
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(np.full((512, 512, 3), 240, np.uint8), description=xml, **plain)
        writer.write(area, **plain)
    return path
