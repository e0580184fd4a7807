import csv
import io
import json
import struct

import numpy as np
import pytest
from drawn import HEIGHT, MPP, WIDTH, glands, lumina, nuclei
from PIL import Image

from histocerb.core.geometry import Region
from histocerb.core.tasks import CERBERUS
from histocerb.slides.reader import open_slide

NAME = "drawn-1"
SLIDE = f"api/slides/{NAME}"


def picture(answer):
    assert answer.status == 200, answer.body
    return np.asarray(Image.open(io.BytesIO(answer.body)))


def read_tile(body):
    magic, count, rings, points = struct.unpack_from("<4I", body)
    assert magic == 0x31434248
    at, found = 16, {}
    columns = [("ids", "<u4", count), ("objects", "<u4", count + 1), ("rings", "<u4", rings + 1)]
    columns += [("xy", "<f4", 2 * points), ("boxes", "<f4", 4 * count), ("prob", "<f4", count)]
    for name, form, length in [*columns, ("area", "<f4", count), ("code", "i1", count)]:
        found[name] = np.frombuffer(body, form, length, at)
        at += found[name].nbytes
    assert at == len(body)
    return found


def test_cohort_lists_all_slides_with_state_and_reason(ask):
    found = ask.json("api/cohort")
    assert found["title"] == "trial"
    assert {row["name"]: row["state"] for row in found["slides"]} == {
        NAME: "done",
        "later": "not begun",
        "torn": "failed",
    }
    by_name = {row["name"]: row for row in found["slides"]}
    assert "empty file" in by_name["torn"]["reason"]
    assert by_name[NAME]["counts"]["gland"] == {"gland": 1, "surface-epithelium": 1}


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_tiles_are_the_pixels_of_the_reader(ask, slide_file, level):
    slide = open_slide(slide_file)
    column, row = (1, 1) if level == 0 else (0, 0)
    got = picture(ask(f"{SLIDE}/tiles/{level}/{column}_{row}.jpg")).astype(int)
    shared = 1 if column else 0
    region = Region(column * 512 - shared, row * 512 - shared, got.shape[1], got.shape[0])
    wanted = slide.read(region, MPP * 2**level).astype(int)
    slide.close()
    shifted = np.abs(got[:, 1:] - wanted[:, :-1]).mean()
    assert np.abs(got - wanted).mean() < min(4, shifted / 2)


def test_last_tiles_are_cut_and_there_are_none_beyond(ask):
    columns, rows = -(-WIDTH // 512), -(-HEIGHT // 512)
    got = picture(ask(f"{SLIDE}/tiles/0/{columns - 1}_{rows - 1}.jpg"))
    assert got.shape == (HEIGHT - 512 * (rows - 1) + 1, WIDTH - 512 * (columns - 1) + 1, 3)
    assert ask(f"{SLIDE}/tiles/0/{columns}_0.jpg").status == 404


def test_browsers_may_keep_answers(ask):
    first = ask(f"{SLIDE}/tiles/1/0_0.jpg")
    again = ask(f"{SLIDE}/tiles/1/0_0.jpg", {"If-None-Match": first.headers["ETag"]})
    other = ask(f"{SLIDE}/tiles/1/1_0.jpg", {"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert other.status == 200


@pytest.mark.parametrize("path", ["tiles/1/0_0.jpg", "thumbnail.jpg", "stain", "tissue.bin", "squares.bin"])
def test_only_addresses_with_the_right_stamp_are_not_asked_again(ask, path):
    """Without it the same address leads to another slide or result tomorrow."""
    about = ask.json(SLIDE)
    stamps = {False: about["stamp"], True: about["manifest"]["slide"]["fingerprint"]}
    is_pixels = not path.endswith(".bin")
    kept = ask(f"{SLIDE}/{path}?v={stamps[is_pixels]}").headers["Cache-Control"]
    assert "immutable" in kept
    for wrong in ("", f"?v={stamps[not is_pixels]}"):
        answer = ask(f"{SLIDE}/{path}{wrong}")
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["ETag"]


def test_every_object_is_in_exactly_one_tile_with_its_outline(ask):
    side, seen = 512, {}
    wanted = nuclei()
    for row in range(-(-HEIGHT // side)):
        for column in range(-(-WIDTH // side)):
            tile = read_tile(ask(f"{SLIDE}/outlines/nucleus/0/{column}_{row}.bin").body)
            corner = np.array([column, row]) * side
            for n, number in enumerate(tile["ids"].tolist()):
                assert number not in seen
                first, last = tile["rings"][tile["objects"][n : n + 2]]
                seen[number] = tile["xy"].reshape(-1, 2)[first:last] + corner
    assert len(seen) == len(wanted.places)
    first_id = min(seen)
    for n, ring in enumerate(wanted.rings()):
        np.testing.assert_allclose(seen[first_id + n], ring, atol=0.01)


@pytest.mark.parametrize("detail", [1, 2, 3])
def test_coarser_outlines_have_fewer_points_and_stay_close(ask, detail):
    tile = read_tile(ask(f"{SLIDE}/outlines/gland/{detail}/0_0.bin").body)
    exact = {700: glands().places[0], 1800: glands().places[1]}
    points = tile["xy"].reshape(-1, 2)
    for n in range(len(tile["ids"])):
        first, last = tile["rings"][tile["objects"][n : n + 2]]
        ring = points[first:last]
        x, y, rx, ry = exact[min(exact, key=lambda at: abs(at - ring[:, 0].mean()))]
        radius = np.hypot((ring[:, 0] - x) / rx, (ring[:, 1] - y) / ry)
        assert np.abs(radius - 1).max() * ry < 2**detail
        assert 4 <= len(ring) <= 40


def test_grid_counts_all_objects_and_says_how_far_those_of_a_square_reach(ask):
    body = ask(f"{SLIDE}/squares.bin").body
    _, kinds, squares = struct.unpack_from("<3I", body)
    diameters_um = np.frombuffer(body, "<f4", kinds, 12)
    size = kinds * squares
    counts = np.frombuffer(body, "<u4", size, 12 + 4 * kinds).reshape(kinds, squares)
    reaches = np.frombuffer(body, "<f4", offset=12 + 4 * kinds + 4 * size).reshape(kinds, squares)
    by_kind = dict(zip((task.kind for task in CERBERUS.objects), counts.sum(axis=1).tolist(), strict=True))
    assert by_kind == {"nucleus": len(nuclei().places), "gland": 2, "lumen": 1}
    assert squares == -(-WIDTH // 512) * -(-HEIGHT // 512)
    of = [task.kind for task in CERBERUS.objects]
    assert diameters_um[of.index("nucleus")] == pytest.approx(2 * np.sqrt(9 * 6) * MPP, rel=0.01)
    of_nuclei = np.where(counts[of.index("nucleus")] > 0, 9, 0)
    np.testing.assert_allclose(reaches[of.index("nucleus")], of_nuclei, atol=0.01)
    of_glands = np.zeros((-(-HEIGHT // 512), -(-WIDTH // 512)))
    for x, y, rx, _ in glands().places:
        of_glands[int(y // 512), int(x // 512)] = rx
    np.testing.assert_allclose(reaches[of.index("gland")], of_glands.ravel(), atol=0.01)


def in_box(ellipses, left, top, right, bottom):
    x, y = ellipses.places[:, :2].T
    return (x >= left) & (x <= right) & (y >= top) & (y <= bottom)


def test_counts_of_slide_view_and_threshold(ask):
    everything = ask.json(f"{SLIDE}/counts")
    assert sum(everything["nucleus"].values()) == len(nuclei().places)
    assert everything["lumen"] == {"lumen": 1}
    wanted = in_box(nuclei(), 300, 200, 1100, 900)
    corners = "300,200,1100,200,1100,900,300,900"
    assert sum(ask.json(f"{SLIDE}/counts?corners={corners}")["nucleus"].values()) == wanted.sum()
    sure = wanted & (nuclei().probs >= 0.75)
    got = ask.json(f"{SLIDE}/counts?corners={corners}&least=0.75")
    assert sum(got["nucleus"].values()) == sure.sum()
    assert got["lumen"] == {"lumen": 1}, "what has no class is never too uncertain"


def test_counts_of_a_turned_view(ask):
    diamond = "700,100,1300,700,700,1300,100,700"
    x, y = nuclei().places[:, :2].T
    wanted = np.abs(x - 700) + np.abs(y - 700) <= 600
    assert sum(ask.json(f"{SLIDE}/counts?corners={diamond}")["nucleus"].values()) == wanted.sum()


def test_object_and_its_contents(ask):
    gland_id = ask.json(f"{SLIDE}/gallery?kind=gland&by=area_um2")["rows"][0]["id"]
    found = ask.json(f"{SLIDE}/objects/{gland_id}")
    x, y, rx, ry = glands().places[0]
    assert (found["kind"], found["class"], found["x"], found["y"]) == ("gland", "gland", x, y)
    assert found["area_um2"] == pytest.approx(np.pi * rx * ry * MPP**2, rel=1e-5)
    assert found["diameter_um"] == pytest.approx(2 * np.sqrt(rx * ry) * MPP, rel=1e-5)
    px, py = nuclei().places[:, :2].T
    held = ((px - x) / rx) ** 2 + ((py - y) / ry) ** 2 < 1
    assert sum(found["contents"]["nucleus"].values()) == held.sum()
    assert found["contents"]["lumen"] == {"lumen": len(lumina().places)}


def test_gallery_is_sorted_and_pages_join(ask):
    query = f"{SLIDE}/gallery?kind=nucleus&class_name=plasma&by=class_prob"
    first = ask.json(f"{query}&count=20")
    second = ask.json(f"{query}&count=20&start=20")
    probs = [row["class_prob"] for row in (*first["rows"], *second["rows"])]
    assert first["total"] == (nuclei().codes == CERBERUS.task("nuclei").classes.index("plasma")).sum()
    assert probs == sorted(probs)
    assert len({row["id"] for row in (*first["rows"], *second["rows"])}) == 40
    assert {row["class"] for row in first["rows"]} == {"plasma"}
    falling = ask.json(f"{query}&descending=true&count=1")["rows"][0]
    assert falling["class_prob"] == max(nuclei().probs[nuclei().codes == 3])


def test_neighbours_walk_through_the_gallery(ask):
    query = "kind=nucleus&by=class_prob"
    rows = ask.json(f"{SLIDE}/gallery?{query}&count=3")["rows"]
    ids = [row["id"] for row in rows]
    assert ask.json(f"{SLIDE}/neighbour?{query}&object_id={ids[0]}&step=1")["id"] == ids[1]
    assert ask.json(f"{SLIDE}/neighbour?{query}&object_id={ids[2]}&step=-1")["id"] == ids[1]


def test_dots_show_every_object(ask):
    """At the coarsest level alpha is 1 - 0.1 ** weight: weights add up to all dots."""
    level = 3
    got = picture(ask(f"{SLIDE}/dots/nucleus/{level}/0_0.webp"))
    assert got.shape == (1024, 1024, 4)
    weight = -np.log10(1 - np.minimum(got[..., 3], 254) / 255)
    x, y = (np.floor(axis / 2**level).astype(int) for axis in nuclei().places[:, :2].T)
    assert np.all(weight[y, x] > 0.9)
    one = weight[y[0] - 2 : y[0] + 3, x[0] - 2 : x[0] + 3].sum()
    assert weight.sum() == pytest.approx(one * len(x), rel=0.03)


def test_dots_on_the_border_of_two_tiles_are_whole(ask):
    """Nuclei at x = 1028 have parts in both tiles of level 0."""
    tiles = [picture(ask(f"{SLIDE}/dots/nucleus/0/{column}_0.webp")) for column in (0, 1)]
    alpha = np.concatenate(tiles, axis=1)[..., 3].astype(int)
    (y, first), cut = (40, 40), 1028
    assert cut in nuclei().places[:, 0]
    around = [alpha[y - 12 : y + 13, x - 12 : x + 13] for x in (first, cut)]
    assert around[0].max() > 200
    assert np.array_equal(*around)


def test_dots_follow_classes_and_threshold(ask):
    path = f"{SLIDE}/dots/nucleus/3/0_0.webp"
    plasma = picture(ask(f"{path}?classes=plasma"))
    sure = picture(ask(f"{path}?least=0.99"))
    none = picture(ask(f"{path}?classes="))
    everything = picture(ask(path))
    x, y = (np.floor(axis / 8).astype(int) for axis in nuclei().places[:, :2].T)
    assert np.array_equal(plasma[y, x, 3] > 200, nuclei().codes == 3)
    assert np.array_equal(sure[y, x, 3] > 200, nuclei().probs >= 0.99)
    assert none[..., 3].max() == 0
    assert np.all(everything[y, x, 3] > 200)


def test_tissue_cells(ask):
    body = ask(f"{SLIDE}/tissue.bin").body
    _, count, classes = struct.unpack_from("<3I", body)
    (side,) = struct.unpack_from("<f", body, 12)
    assert (side, classes) == (144.0, 9)
    assert len(body) == 16 + count * (2 + 2 + 1 + classes)
    shares = np.frombuffer(body, np.uint8, count * classes, 16 + 5 * count).reshape(count, classes)
    codes = np.frombuffer(body, np.uint8, count, 16 + 4 * count)
    assert np.array_equal(shares.argmax(axis=1), codes)
    assert set(shares.max(axis=1)) == {153}


def test_selection_as_csv_and_geojson(ask):
    corners = "300,200,1100,200,1100,900,300,900"
    wanted = in_box(nuclei(), 300, 200, 1100, 900).sum()
    answer = ask(f"{SLIDE}/selection.csv?corners={corners}&off=gland,lumen")
    lines = answer.body.decode().splitlines()
    assert len(lines) == 1 + wanted
    assert lines[0].startswith('"object_id","kind","class"')
    assert "attachment" in answer.headers["Content-Disposition"]
    features = json.loads(ask(f"{SLIDE}/selection.geojson?corners={corners}&off=gland,lumen").body)[
        "features"
    ]
    assert len(features) == wanted
    both = json.loads(ask(f"{SLIDE}/selection.geojson?corners={corners}&least=0.95").body)["features"]
    assert {f["properties"]["classification"]["name"] for f in both} >= {"lumen"}


def test_selection_leaves_out_what_is_switched_off(ask):
    answer = ask(f"{SLIDE}/selection.csv?off=gland,nucleus/plasma")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    kinds = [row["kind"] for row in rows]
    assert kinds.count("nucleus") == (nuclei().codes != 3).sum()
    assert (kinds.count("gland"), kinds.count("lumen")) == (0, 1)


def test_crop_shows_the_object_in_the_middle(ask):
    gland = ask.json(f"{SLIDE}/gallery?kind=gland")["rows"][0]["id"]
    assert picture(ask(f"{SLIDE}/objects/{gland}/crop.jpg")).shape == (160, 160, 3)
    nucleus = ask.json(f"{SLIDE}/gallery?kind=nucleus&start=300&count=1")["rows"][0]["id"]
    middle = picture(ask(f"{SLIDE}/objects/{nucleus}/crop.jpg"))[72:88, 72:88].astype(int)
    assert np.abs(middle - (60, 20, 90)).mean() < 12


@pytest.mark.parametrize(
    "path",
    [
        "objects/0",
        "objects/99999999",
        "gallery?kind=cell",
        "gallery?kind=nucleus&class_name=neuron",
        "gallery?kind=nucleus&by=geometry",
        "outlines/cell/0/0_0.bin",
        "dots/nucleus/0/0_0.webp?classes=neuron",
        "selection.csv?off=cell",
        "selection.csv?off=nucleus/neuron",
        "counts?corners=1,2,3",
        "counts?corners=1,2,nan,4,5,6",
    ],
)
def test_what_does_not_exist_is_said_in_a_sentence(ask, path):
    answer = ask(f"{SLIDE}/{path}")
    assert answer.status == 404
    assert json.loads(answer.body)["error"].startswith("expected")
