"""Maps that stay with a result: whole, in place, as zarr reads them, and without effect on the rest."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import zarr

from histocerb.core.errors import OutputError
from histocerb.core.geometry import Region
from histocerb.core.tasks import CERBERUS
from histocerb.inference import kept_maps, slide
from histocerb.inference.kept_maps import MAPS_FOLDER
from histocerb.inference.manifest import read_manifest
from histocerb.inference.map_reader import stored_maps
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.slide import segment_slide
from histocerb.inference.work import RESULTS
from histocerb.postproc.maps import reduce_mean
from histocerb.slides.reader import open_slide

HEIGHT, WIDTH = 1111, 1213
KEEP = WorkSettings(keep_maps=True)
NUCLEI, GLAND, TYPES, TISSUE = "nuclei.instance", "gland.instance", "nuclei.type", "tissue.patch"


@pytest.fixture(scope="module")
def image(make_image):
    return make_image(HEIGHT, WIDTH, 5)


@pytest.fixture(scope="module")
def kept(image, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept") / "slide"
    segment_slide(open_slide(image, mpp=0.5), model, folder, KEEP)
    return folder


@pytest.fixture(scope="module")
def group(kept):
    return zarr.open_group(kept / MAPS_FOLDER, mode="r")


def results(folder):
    return [(folder / name).read_bytes() for name in RESULTS]


class Counting:
    """A predictor that counts its windows, and dies before one of them."""

    device = "stand-in"

    def __init__(self, predictor, dies_before=None):
        self.predictor, self.dies_before, self.done = predictor, dies_before, 0

    def predict(self, image, margin_px):
        if self.done == self.dies_before:
            raise RuntimeError("out of power")
        self.done += 1
        return self.predictor.predict(image, margin_px)


def test_they_are_the_maps_of_the_network(group, model, image):
    wanted = model.predictor.maps(image)
    assert group[NUCLEI].shape == (2, HEIGHT, WIDTH)
    np.testing.assert_array_equal(group[NUCLEI][:].transpose(1, 2, 0), wanted[NUCLEI])
    np.testing.assert_array_equal(group[TYPES][:], wanted[TYPES])
    reduced = reduce_mean(np.ascontiguousarray(wanted[GLAND][..., 0]), 2)
    np.testing.assert_array_equal(group[GLAND][0], reduced)
    cells = wanted[TISSUE]
    found = group[TISSUE][:].transpose(1, 2, 0)[: cells.shape[0], : cells.shape[1]]
    np.testing.assert_array_equal(found, cells)


def test_attributes_say_what_and_where(group, kept):
    manifest = read_manifest(kept)
    assert group.attrs["key"] == manifest.key
    assert group.attrs["heads"] == [head.name for head in CERBERUS.heads]
    nuclei, gland, types = (dict(group[name].attrs) for name in (NUCLEI, GLAND, TYPES))
    assert (nuclei["channels"], nuclei["full"]) == (["inside", "contour"], 255)
    assert (nuclei["mpp"], nuclei["level0_px"], nuclei["origin_px"]) == (0.5, 1.0, [0, 0])
    assert (gland["mpp"], gland["level0_px"]) == (1.0, 2.0)
    assert types["values"][:2] == ["none", "neutrophil"]
    assert group[NUCLEI].metadata.dimension_names == ("channel", "y", "x")


def test_places_follow_on_a_slide_of_another_resolution(model, image, tmp_path):
    crop = image[:400, :400]
    doubled = crop.repeat(2, axis=0).repeat(2, axis=1)
    folder = tmp_path / "fine"
    segment_slide(open_slide(doubled, mpp=0.25), model, folder, KEEP)
    array = zarr.open_group(folder / MAPS_FOLDER, mode="r")[NUCLEI]
    assert array.attrs["level0_px"] == 2.0
    np.testing.assert_array_equal(array[:].transpose(1, 2, 0), model.predictor.maps(crop)[NUCLEI])


@pytest.mark.parametrize("head", [NUCLEI, GLAND, TYPES])
def test_coarse_maps_are_means(group, head):
    assert group.attrs["coarse"][head] == [4]
    coarse, full = group["coarse/4"][head], group[head][:]
    planes = kept_maps.class_planes(full, range(1, 7)) if head == TYPES else full
    assert len(coarse.attrs["channels"]) == len(planes)
    assert coarse.attrs["level0_px"] == 4 * group[head].attrs["level0_px"]
    for number, plane in enumerate(planes):
        np.testing.assert_array_equal(coarse[number], reduce_mean(plane, 4))


def test_any_region_is_read_as_zarr_reads_it(group, kept):
    maps = stored_maps(kept / MAPS_FOLDER / NUCLEI)
    whole = group[NUCLEI][:]
    for region in (Region(0, 0, WIDTH, HEIGHT), Region(990, 1000, 60, 70)):
        np.testing.assert_array_equal(maps.read(region), whole[:, *region.slices()])
    over = maps.read(Region(-10, -20, 30, 40))
    np.testing.assert_array_equal(over[:, 20:, 10:], whole[:, :20, :20])
    assert not over[:, :20].any()


def test_nothing_else_changes(kept, model, image, tmp_path):
    plain = tmp_path / "plain"
    segment_slide(open_slide(image, mpp=0.5), model, plain)
    assert results(plain) == results(kept)
    changing = {"seconds": {}, "peak_memory_mb": 0.0}
    manifests = [replace(read_manifest(folder), **changing) for folder in (plain, kept)]
    assert manifests[0] == manifests[1]
    assert not (plain / MAPS_FOLDER).exists()
    assert sorted(os.listdir(kept)) == sorted([*os.listdir(plain), MAPS_FOLDER])


def same_maps(one, other):
    files = [
        {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (one / MAPS_FOLDER, other / MAPS_FOLDER)
    ]
    return len(files[0]) > 10 and files[0] == files[1]


@pytest.mark.parametrize("dies_before", [1, 3])
def test_a_killed_run_goes_on_and_keeps_them_whole(kept, model, image, tmp_path, dies_before):
    folder, source = tmp_path / "slide", open_slide(image, mpp=0.5)
    with pytest.raises(RuntimeError, match="power"):
        segment_slide(source, replace(model, predictor=Counting(model.predictor, dies_before)), folder, KEEP)
    assert not (folder / MAPS_FOLDER).exists()
    counting = Counting(model.predictor)
    segment_slide(source, replace(model, predictor=counting), folder, KEEP)
    assert counting.done == 4 - dies_before
    assert same_maps(kept, folder)


@pytest.mark.parametrize("again", [True, False])
def test_killed_before_it_was_done_they_are_taken_back(kept, model, image, tmp_path, monkeypatch, again):
    """The maps are at their place, the manifest does not say done."""
    folder, source = tmp_path / "slide", open_slide(image, mpp=0.5)

    def dies(work, place):
        kept_maps_keep(work, place)
        raise KeyboardInterrupt

    kept_maps_keep = kept_maps.keep
    monkeypatch.setattr(slide.kept_maps, "keep", dies)
    with pytest.raises(KeyboardInterrupt):
        segment_slide(source, model, folder, KEEP)
    monkeypatch.undo()
    counting = Counting(model.predictor)
    settings = KEEP if again else WorkSettings()
    segment_slide(source, replace(model, predictor=counting), folder, settings)
    assert counting.done == 0
    assert results(folder) == results(kept)
    assert same_maps(kept, folder) if again else not (folder / MAPS_FOLDER).exists()


def test_a_result_without_them_is_computed_again_to_keep_them(model, image, tmp_path):
    small, folder = open_slide(image[:200, :300], mpp=0.5), tmp_path / "slide"
    segment_slide(small, model, folder)
    before = results(folder)
    assert not segment_slide(small, model, folder, KEEP).skipped
    assert results(folder) == before
    assert segment_slide(small, model, folder, KEEP).skipped
    assert segment_slide(small, model, folder).skipped
    assert kept_maps.are_kept(folder, read_manifest(folder).key)
    segment_slide(small, model, folder, overwrite=True)
    assert not (folder / MAPS_FOLDER).exists()


def test_damaged_chunks_are_said(kept, tmp_path):
    folder = shutil.copytree(kept / MAPS_FOLDER / NUCLEI, tmp_path / "maps")
    (folder / "0.0.0").write_bytes(b"nothing")
    with pytest.raises(OutputError, match="damaged file"):
        stored_maps(folder).read(Region(0, 0, 10, 10))
    (folder / "zarr.json").write_text("{}")
    with pytest.raises(OutputError, match="damaged description"):
        stored_maps(folder)
