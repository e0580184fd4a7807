import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from histocerb.core.errors import DataError, UsageError
from histocerb.data.sources import geojson
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.sources.features import corners
from histocerb.data.sources.geojson import DATA_SET
from histocerb.data.validate import validate

MPP = ReadOptions(mpp=0.5)


def read(folder: Path, options: ReadOptions = MPP):
    return DATA_SET.read(folder, options)


def box(x, y, width, height):
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]


def feature(name, *rings, kind="Polygon"):
    properties = {"objectType": "annotation", "classification": {"name": name}} if name else {}
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": list(rings)},
        "properties": properties,
    }


def write(folder: Path, *features, stem="a", image="a.png") -> Path:
    folder.mkdir(exist_ok=True)
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[..., 0], pixels[10, 20] = 200, 255  # blue, first in a file
    assert cv2.imwrite(str(folder / image), pixels)
    collection = {"type": "FeatureCollection", "features": list(features)}
    (folder / f"{stem}.geojson").write_text(json.dumps(collection))
    return folder


def test_classes_tell_the_task(tmp_path):
    gland, hole = box(2, 2, 20, 20), box(8, 8, 6, 6)
    folder = write(
        tmp_path,
        feature("gland", gland, hole),
        feature("Plasma", box(40, 4, 4, 4)),
        feature("nucleus", box(50, 4, 4, 4)),
        feature("lumen", [box(8, 8, 3, 3)], [box(11, 11, 3, 3)], kind="MultiPolygon"),
    )
    (entry,) = read(folder)
    assert (entry.name, [path.name for path in entry.files]) == ("a", ["a.png", "a.geojson"])
    sample = entry.load()
    validate(sample)
    assert (sample.source, sample.patient, sample.mpp) == ("qupath", "a", 0.5)
    assert sample.image[10, 20].tolist() == [255] * 3
    assert sample.image[0, 0].tolist() == [0, 0, 200]
    expected = np.zeros((40, 60), np.int32)
    expected[2:22, 2:22], expected[8:14, 8:14] = 1, 0
    assert np.array_equal(sample.objects["gland"].ids, expected)
    assert sample.objects["gland"].classes == {1: "gland"}
    nuclei = sample.objects["nuclei"]
    assert (nuclei.ids[5, 41], nuclei.ids[5, 51], nuclei.classes) == (1, 2, {1: "plasma"})
    lumen = sample.objects["lumen"]
    assert lumen.ids[9, 9] == lumen.ids[12, 12] == 1
    assert np.count_nonzero(lumen.ids) == 18
    assert lumen.classes == {}


def test_later_objects_win(tmp_path):
    folder = write(
        tmp_path,
        feature("epithelial", box(2, 2, 8, 4)),
        feature("plasma", box(6, 2, 8, 4)),
        feature("plasma", box(6, 2, 8, 4)),
    )
    labels = read(folder)[0].load().objects["nuclei"]
    assert labels.ids[3, 1:15].tolist() == [0] + [1] * 4 + [3] * 8 + [0]
    assert labels.classes == {1: "epithelial", 3: "plasma"}


def test_rectangles_become_samples(tmp_path):
    folder = write(
        tmp_path,
        feature("Region", box(10, 5, 20, 20)),
        feature("ROI", box(40, 0, 30, 10)),
        feature("gland", box(4, 4, 10, 4)),
        feature("eosinophil", box(56, 2, 10, 2)),
        image="TCGA-A6-2671-01Z.PNG",
        stem="TCGA-A6-2671-01Z.PNG",
    )
    options = ReadOptions(mpp=0.5, classes={"ROI": "region"})
    first, second = (entry.load() for entry in read(folder, options))
    assert (first.name, second.name) == ("TCGA-A6-2671-01Z-x10-y5", "TCGA-A6-2671-01Z-x40-y0")
    assert first.patient == second.patient == "TCGA-A6-2671"
    assert (first.image.shape, second.image.shape) == ((20, 20, 3), (10, 20, 3))  # cut off at the border
    assert first.image[5, 10].tolist() == [255] * 3
    assert list(first.objects) == ["gland"]
    assert np.argwhere(first.objects["gland"].ids).tolist() == [[y, x] for y in range(3) for x in range(4)]
    assert list(second.objects) == ["nuclei"]
    assert np.argwhere(second.objects["nuclei"].ids).max(axis=0).tolist() == [3, 19]
    for sample in (first, second):
        validate(sample)


def test_objects_of_rectangles_are_those_of_the_whole(tmp_path):
    """Pixel by pixel, whichever objects were near enough to be painted."""
    rng = np.random.default_rng(5)
    drawn = [
        feature(name, (rng.uniform(-4, 64, 2) + rng.uniform(0, 9, (5, 2))).tolist())
        for name in rng.choice(["plasma", "epithelial", "gland"], 120)
    ]
    (whole,) = (entry.load() for entry in read(write(tmp_path / "whole", *drawn)))
    boxes = [(x, y) for x in range(0, 60, 15) for y in range(0, 40, 10)]
    regions = [feature("region", box(x, y, 15, 10)) for x, y in boxes]
    entries = read(write(tmp_path / "cut", *drawn, *regions))
    assert len(entries) == len(boxes)
    for sample in (entry.load() for entry in entries):
        x, y = (int(text[1:]) for text in sample.name.split("-")[1:])
        for task, labels in sample.objects.items():
            expected = whole.objects[task].ids[y : y + 10, x : x + 15]
            pairs = np.unique(np.stack([labels.ids.ravel(), expected.ravel()]), axis=1).T
            assert len(pairs) == len(np.unique(expected)) == len(np.unique(labels.ids))
            known = whole.objects[task].classes
            assert labels.classes == {int(ours): known[theirs] for ours, theirs in pairs.tolist() if ours}
        for task in set(whole.objects) - set(sample.objects):
            assert not whole.objects[task].ids[y : y + 10, x : x + 15].any()


def test_a_file_is_measured_once_for_all_of_its_rectangles(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(geojson, "corners", lambda found: calls.append(len(found)) or corners(found))
    regions = [feature("region", box(x, 0, 10, 10)) for x in range(0, 60, 10)]
    for entry in read(write(tmp_path, feature("gland", box(0, 4, 60, 4)), *regions)):
        assert np.count_nonzero(entry.load().objects["gland"].ids) == 40
    assert calls == [7]


def test_bounds_that_only_touch_a_rectangle_are_not_in_it(tmp_path):
    folder = write(
        tmp_path,
        feature("gland", box(0, 0, 10, 10)),
        feature("lumen", box(9.9, 9.9, 5, 5)),
        feature("region", box(10, 10, 10, 10)),
    )
    assert list(read(folder)[0].load().objects) == ["lumen"]


@pytest.mark.parametrize("ending", [".webp", ".jp2", ".btf", ".tf8", ".qptiff"])
def test_images_of_all_formats_that_slides_have(tmp_path, ending):
    folder = write(tmp_path, feature("gland", box(4, 4, 10, 4)))
    pixels = cv2.cvtColor(cv2.imread(str(folder / "a.png")), cv2.COLOR_BGR2RGB)
    (folder / "a.png").unlink()
    if ending in (".webp", ".jp2"):
        Image.fromarray(pixels).save(folder / f"a{ending}", lossless=True)
    else:
        tifffile.imwrite(folder / f"a{ending}", pixels, photometric="rgb")
    sample = read(folder)[0].load()
    np.testing.assert_array_equal(sample.image, pixels)
    assert np.count_nonzero(sample.objects["gland"].ids) == 40


def test_patients_of_images(tmp_path):
    folder = write(tmp_path, feature("gland", box(4, 4, 10, 4)))
    write(folder, feature("gland", box(4, 4, 10, 4)), stem="b.c", image="b.c.png")
    (folder / "patients.csv").write_text("stem,patient\na.png,P1\nb.c,P1\n")
    entries = read(folder)
    assert [(e.name, e.recipe, e.load().patient) for e in entries] == [("a", "P1", "P1"), ("b.c", "P1", "P1")]
    (folder / "patients.csv").write_text("stem,patient\na,P1\n")
    with pytest.raises(DataError, match=r"patients\.csv: expected a row per image, found none of b\.c"):
        read(folder)


def test_a_task_that_was_looked_for_in_vain(tmp_path):
    folder = write(tmp_path, feature("gland", box(4, 4, 10, 4)))
    write(folder, stem="b", image="b.png")
    with pytest.raises(DataError, match=r"b\.geojson: expected objects in b, found none; say with --task"):
        read(folder)
    a, b = (entry.load() for entry in read(folder, ReadOptions(mpp=0.5, task="nuclei")))
    assert sorted(a.objects) == ["gland", "nuclei"]
    assert list(b.objects) == ["nuclei"]
    assert not b.objects["nuclei"].ids.any()
    validate(b)


def test_classes_of_no_task(tmp_path):
    folder = write(tmp_path, feature("Ignore*", box(4, 4, 10, 4)), feature("gland", box(20, 4, 10, 4)))
    with pytest.raises(DataError, match=r"a\.geojson: expected classes .*found 'ignore\*'"):
        read(folder)
    with pytest.raises(DataError, match=r"expected classes gland, surface-epithelium.*found 'ignore"):
        read(folder, ReadOptions(mpp=0.5, task="gland"))
    left_out = read(folder, ReadOptions(mpp=0.5, drop_unmapped=True))[0].load()
    assert np.unique(left_out.objects["gland"].ids).tolist() == [0, 1]
    kept = read(folder, ReadOptions(mpp=0.5, drop_unmapped=True, task="gland"))[0].load()
    assert kept.objects["gland"].classes == {2: "gland"}
    assert (kept.objects["gland"].ids == 1).sum() == 40
    mapped = read(folder, ReadOptions(mpp=0.5, classes={"Ignore*": "lymphocyte"}))[0].load()
    assert mapped.objects["nuclei"].classes == {1: "lymphocyte"}


def test_objects_without_a_class(tmp_path):
    folder = write(tmp_path, feature("", box(4, 4, 10, 4)))
    with pytest.raises(DataError, match=r"found ''"):
        read(folder)
    sample = read(folder, ReadOptions(mpp=0.5, task="gland"))[0].load()
    assert np.count_nonzero(sample.objects["gland"].ids) == 40
    assert sample.objects["gland"].classes == {}


def test_large_images_need_a_rectangle(tmp_path, monkeypatch):
    monkeypatch.setattr("histocerb.data.sources.geojson.WHOLE_PX", 50)
    folder = write(tmp_path, feature("gland", box(4, 4, 10, 4)))
    with pytest.raises(DataError, match=r"expected a rectangle of class region .*60 x 40"):
        read(folder)
    write(tmp_path, feature("gland", box(4, 4, 10, 4)), feature("region", box(0, 0, 20, 20)))
    assert read(folder)[0].load().image.shape == (20, 20, 3)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([feature("region", [[0, 0], [9, 0], [0, 9]])], "found another shape"),
        ([feature("region", box(70, 0, 9, 9))], "found one outside at 70, 0"),
        ([feature("region", box(3, 3, 9, 9))] * 2, "found a-x3-y3 twice"),
    ],
)
def test_rectangles_that_are_wrong(tmp_path, features, message):
    folder = write(tmp_path, feature("gland", box(4, 4, 10, 4)), *features)
    with pytest.raises(DataError, match=rf"a\.geojson: .*{message}"):
        read(folder)


def test_folders_and_files_that_are_wrong(tmp_path):
    folder = write(tmp_path / "set", feature("gland", box(4, 4, 10, 4)))
    with pytest.raises(UsageError, match=r"found 'glands'"):
        read(folder, ReadOptions(mpp=0.5, task="glands"))
    with pytest.raises(
        DataError, match=r"a\.png: expected the resolution in the file, found none; pass --mpp"
    ):
        read(folder, ReadOptions())
    write(folder, stem="b", image="a.png")
    with pytest.raises(DataError, match=r"b\.geojson: expected its image"):
        read(folder)
    (folder / "b.geojson").rename(folder / "a.png.geojson")
    with pytest.raises(DataError, match=r"expected one file per image, found a\.(png\.)?geojson"):
        read(folder)
    for path in folder.glob("*.geojson"):
        path.unlink()
    with pytest.raises(DataError, match=r"a\.png: expected its labels"):
        read(folder)
    with pytest.raises(DataError, match=r"nowhere: expected images and their labels"):
        read(tmp_path / "nowhere")


def test_a_corrected_file_is_read_again(tmp_path):
    folder = write(tmp_path, feature("gland", box(4, 4, 10, 4)))
    read(folder)
    changed_ns = (folder / "a.geojson").stat().st_mtime_ns + 1_000_000_000
    write(folder, feature("plasma", box(4, 4, 10, 4)))
    os.utime(folder / "a.geojson", ns=(changed_ns, changed_ns))
    assert list(read(folder)[0].load().objects) == ["nuclei"]


def test_a_real_slide(real_data, tmp_path):
    slide = real_data / "slides" / "CMU-1-Small-Region.svs"
    (tmp_path / slide.name).symlink_to(slide)
    (tmp_path / "CMU-1-Small-Region.geojson").write_text(
        json.dumps([feature("region", box(500, 900, 64, 48)), feature("gland", box(510, 910, 20, 20))])
    )
    (sample,) = (entry.load() for entry in read(tmp_path, ReadOptions()))
    assert sample.mpp == pytest.approx(0.499)
    assert sample.image.shape == (48, 64, 3)
    assert np.count_nonzero(sample.objects["gland"].ids) == 400
    validate(sample)


@pytest.mark.parametrize("with_region", [False, True])
def test_slides_that_qupath_shows_without_their_frame(framed_slide, with_region):
    """QuPath counts from the corner of the scanned area, the slide from that of its frame."""
    drawn = [feature("gland", box(500, 300, 140, 100))]
    drawn += [feature("region", box(450, 250, 300, 300))] * with_region
    collection = {"type": "FeatureCollection", "features": drawn}
    framed_slide.with_suffix(".geojson").write_text(json.dumps(collection))
    (entry,) = read(framed_slide.parent, ReadOptions())
    assert entry.name == ("framed-x1150-y850" if with_region else "framed")
    sample = entry.load()
    assert sample.image.shape == ((300, 300, 3) if with_region else (2048, 2048, 3))
    is_dark = (sample.image == (60, 20, 90)).all(axis=2)
    assert is_dark.sum() == 140 * 100
    np.testing.assert_array_equal(sample.objects["gland"].ids > 0, is_dark)
