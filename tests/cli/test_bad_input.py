"""What people really have, in one run: each slide is a result or one sentence, and none stops the others."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image

pytestmark = pytest.mark.usefixtures("colour_model")


def _reasons(out: str) -> dict[str, str]:
    lines = [line.split(": failed: ", 1) for line in out.splitlines() if ": failed: " in line]
    return dict(lines)


def _damaged_tiff(picture: Path, path: Path) -> None:
    """A tiled JPEG TIFF whose middle tile is overwritten."""
    pixels = np.tile(np.asarray(Image.open(picture)), (2, 2, 1))
    tifffile.imwrite(path, pixels, tile=(128, 128), compression="jpeg", photometric="rgb")
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        middle = len(page.dataoffsets) // 2
        offset, size = page.dataoffsets[middle], page.databytecounts[middle]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x00" * size)


def test_bad_slides_have_reasons_and_good_ones_results(cli, picture, tmp_path):
    good = np.asarray(Image.open(picture))
    Image.fromarray(good).convert("L").save(tmp_path / "grey.png")
    Image.fromarray(good).convert("RGBA").save(tmp_path / "rgba.png")
    Image.fromarray(good[70:80, 60:70]).save(tmp_path / "tiny.png")
    Image.fromarray(np.full((400, 300, 3), 255, np.uint8)).save(tmp_path / "white.png")
    _damaged_tiff(picture, tmp_path / "damaged.tif")
    (tmp_path / "cut.png").write_bytes(picture.read_bytes()[:300])
    (tmp_path / "empty.svs").touch()
    fine, bad = ["grey", "rgba", "tiny", "white"], ["damaged", "cut", "empty", "none"]
    endings = {"damaged": "tif", "empty": "svs", "none": "svs"}
    paths = [tmp_path / f"{name}.{endings.get(name, 'png')}" for name in [*bad, *fine]]
    shown = cli("segment", *paths, picture, "--out", tmp_path / "out", "--mpp", 0.5)
    assert shown.code == 1
    reasons = _reasons(shown.out)
    assert sorted(reasons) == sorted(bad)
    assert all("\n" not in reason and len(reason) > 20 for reason in reasons.values())
    assert "x=" in reasons["damaged"]
    assert "y=" in reasons["damaged"]
    assert "Traceback" not in shown.err
    for name in [*fine, "picture"]:
        assert (tmp_path / "out" / name / "overview.png").exists()
    rows = {name: pq.read_table(tmp_path / "out" / name / "objects.parquet").num_rows for name in fine}
    assert rows["white"] == 0
    assert rows["rgba"] == pq.read_table(tmp_path / "out" / "picture" / "objects.parquet").num_rows > 0
    for name in bad:
        assert not (tmp_path / "out" / name / "objects.parquet").exists()


def test_a_library_that_reads_tiffs_adds_nothing_to_the_reason(cli, picture, tmp_path):
    whole = tmp_path / "whole.tif"
    with tifffile.TiffWriter(whole) as tiff:
        for _ in range(3):
            tiff.write(np.asarray(Image.open(picture)), tile=(64, 64))
    (tmp_path / "cut.tif").write_bytes(whole.read_bytes()[: whole.stat().st_size // 5])
    shown = cli("segment", tmp_path / "cut.tif", "--out", tmp_path / "out", "--mpp", 0.5)
    assert "truncated" in _reasons(shown.out)["cut"]
    assert "Tiff" not in shown.err


def test_an_output_folder_that_cannot_be_is_one_sentence(cli, picture, tmp_path):
    (tmp_path / "taken").write_text("a file")
    shown = cli("segment", picture, "--out", tmp_path / "taken", "--mpp", 0.5)
    assert shown.code == 1
    assert "taken" in shown.err + shown.out
    assert "Traceback" not in shown.err


def test_real_oddities(cli, real_data, tmp_path):
    """Fluorescence must not crash, a DICOM that OpenSlide refuses must say so, no mpp must name --mpp."""
    slides = real_data / "slides"
    names = ["fluorescence-test3.ndpi", "small_dicom.dcm", "kidney-48-5.tif", "tcga-cr-7395-01a-01-ts1.svs"]
    out = tmp_path / "out"
    shown = cli("segment", *(slides / name for name in names[1:]), "--out", out)
    assert shown.code == 1
    reasons = _reasons(shown.out)
    assert len(reasons) == 3
    assert "--mpp" not in reasons["small_dicom"]
    assert "--mpp" in reasons["kidney-48-5"]
    assert "--mpp" in reasons["tcga-cr-7395-01a-01-ts1"]
    assert cli("segment", slides / names[0], "--out", out).code == 0
