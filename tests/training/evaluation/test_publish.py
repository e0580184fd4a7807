from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from histocerb.core.errors import OutputError, UsageError
from histocerb.training.evaluation import Choice, compare, measure
from histocerb.training.evaluation.blocks import Heading, Paragraph, Picture, Table, with_interval
from histocerb.training.evaluation.comparison import report_on_both
from histocerb.training.evaluation.gallery import Gallery
from histocerb.training.evaluation.html import html
from histocerb.training.evaluation.markdown import markdown
from histocerb.training.evaluation.plots import calibration_chart, froc_chart
from histocerb.training.evaluation.publish import check_place, publish, publish_comparison

VOID = ("meta", "img")


class Page(HTMLParser):
    """Checks that elements are closed in order; collects what the page refers to, its cells and its text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.cells, self.text = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


BAD = "<b>&\"'|*_`[x](y)#"
BLOCKS = [
    Heading(BAD, 1),
    Heading("Part"),
    Paragraph(BAD),
    Table(("", BAD), ((BAD, "1.000"),), ((0.0, 0.5),)),
    Picture("a b/c&d.svg", BAD),
]


def test_html_is_escaped_and_whole():
    page = Page(html(BLOCKS))
    assert "".join(page.text).count(BAD) >= 4
    assert page.cells == [BAD, BAD, "1.000"]
    assert page.links == ["#part-1", "a%20b/c%26d.svg", "a%20b/c%26d.svg"]
    assert "rgba(0, 114, 178, 0.30)" in html(BLOCKS)


def test_markdown_is_escaped():
    lines = markdown(BLOCKS).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in table] == [3, 3, 3]
    assert lines[0].startswith("# \\<b\\>&")
    assert "](<a b/c&d.svg>)" in markdown(BLOCKS)


def test_figures_in_words():
    figure = {"n": 3, "mean": 0.5, "sd": 0.1, "low": 0.25, "high": 0.75}
    assert with_interval(figure) == "0.500 (0.250 to 0.750)"
    assert with_interval({**figure, "low": None}) == "0.500"
    assert with_interval({**figure, "mean": None}) == "-"
    assert (with_interval(1234), with_interval(0.25), with_interval(None)) == ("1,234", "0.250", "")


def test_charts_are_xml_with_their_points_inside():
    bins = [{"low": 0.9, "high": 1.0, "n": 3, "confidence": 0.95, "accuracy": 0.5}]
    curve = [[None, 0.0, 0.0], [0.9, 1.0, 0.4], [0.5, 4.0, 0.8], [0.1, None, 0.9]]
    for chart in (calibration_chart(bins, BAD), froc_chart(curve, BAD), froc_chart([], "nothing")):
        root = ElementTree.fromstring(chart)
        size = float(root.get("width")), float(root.get("height"))
        for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
            for point in line.get("points").split():
                assert all(0 <= float(at) <= most for at, most in zip(point.split(","), size, strict=True))
    dot = next(ElementTree.fromstring(calibration_chart(bins, "")).iter("{http://www.w3.org/2000/svg}circle"))
    assert (float(dot.get("cx")), float(dot.get("cy"))) == (70 + 300 * 0.95, 30 + 300 * 0.5)


def test_the_report_on_one_model(store, perfect, tmp_path):
    gallery = Gallery(1)
    document = measure(store, Choice(("valid", "train")), perfect("m", missed=1), watch=gallery.watch)
    path = tmp_path / "report.json"
    (tmp_path / "report_images").mkdir()
    (tmp_path / "report_images" / "mine.txt").touch()
    publish(path, document, gallery)
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == json.loads(json.dumps(document))
    found = {file.name for file in (tmp_path / "report_images").iterdir()}
    assert found == {
        "mine.txt",
        "nuclei-best-1.jpg",
        "nuclei-worst-1.jpg",
        "nuclei-calibration.svg",
        "nuclei-froc.svg",
        "tissue-calibration.svg",
    }
    page = Page((tmp_path / "report.html").read_text())
    files = {link for link in page.links if not link.startswith("#")}
    assert files == {f"report_images/{name}" for name in found - {"mine.txt"}}
    assert "| sources | patches, squares |" in (tmp_path / "report.md").read_text()
    text = (tmp_path / "report.md").read_text()
    assert all(f"<{name}>" in text for name in files)
    quality = with_interval(document["summary"]["all"]["nuclei"]["pq"])
    assert quality in page.cells
    assert quality in text
    for word in ("mPQ+", "class mAP", "FROC score", "epithelial", "stroma", "20 of 20 patients"):
        assert word in "".join(page.text), word


def test_pictures_of_the_report_before_go_and_no_others(store, perfect, tmp_path):
    gallery = Gallery(2)
    document = measure(store, Choice(("valid", "train")), perfect("m", missed=1), watch=gallery.watch)
    folder = tmp_path / "report_images"
    folder.mkdir()
    mine = {"patient-1.jpg", "drawing.svg", "mine-best-1.jpg", "notes.txt"}
    for name in mine:
        (folder / name).write_text("mine")
    publish(tmp_path / "report.json", document, gallery)
    found = {file.name for file in folder.iterdir()}
    assert mine | {"nuclei-best-2.jpg", "nuclei-froc.svg"} < found
    publish(tmp_path / "report.json", document, Gallery(0))
    assert {file.name for file in folder.iterdir()} == found - {
        f"nuclei-{kind}-{number}.jpg" for kind in ("best", "worst") for number in (1, 2)
    }
    other = measure(store, Choice(("valid", "train")), perfect("n"))
    publish_comparison(tmp_path / "report.json", document, other, compare(document, other))
    assert {file.name for file in folder.iterdir()} == mine
    assert all((folder / name).read_text() == "mine" for name in mine)


def test_nothing_is_fetched_from_elsewhere(store, perfect, tmp_path):
    publish(tmp_path / "r.json", measure(store, Choice(("valid",)), perfect("https://elsewhere")))
    assert not any("//" in link for link in Page((tmp_path / "r.html").read_text()).links)


def test_the_report_on_two_models(store, perfect, tmp_path):
    one, two = (
        measure(store, Choice(("train",)), perfect(name, missed)) for name, missed in (("a", 1), ("b", 0))
    )
    path = tmp_path / "both.json"
    found = compare(one, two)
    publish_comparison(path, one, two, found)
    written = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert list(written) == ["comparison", "documents"]
    page = Page((tmp_path / "both.html").read_text())
    row = found["rows"]["all"]["nuclei"]["pq"]
    assert f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})" in page.cells
    shown = [line for line in (tmp_path / "both.md").read_text().splitlines() if line.startswith("| PQ |")]
    assert shown[0].endswith("| b |") == (row["p_holm"] < 0.05)
    assert not (tmp_path / "both_images").exists()


def test_a_smaller_distance_is_better(store, perfect, tmp_path):
    one, two = (
        measure(store, Choice(("train", "valid")), perfect(name, n)) for name, n in (("a", 1), ("b", 0))
    )
    publish_comparison(tmp_path / "c.json", one, two, compare(one, two))
    rows = [line for line in (tmp_path / "c.md").read_text().splitlines() if "object Hausdorff" in line]
    assert rows[0].endswith("| b |")


def test_no_model_is_better_where_mean_and_ranks_disagree():
    """Patients gain; one of them loses in its many images, so that the mean over images falls."""

    def document(name, gain, loss):
        once = [(f"p{number}", 0.5 + gain * number) for number in range(1, 13)]
        values = [*once, *[("many", 0.5 + loss)] * 40]
        images = [
            {"id": f"s/{place}", "source": "s", "patient": patient, "tasks": {"gland": {"pq": value}}}
            for place, (patient, value) in enumerate(values)
        ]
        data = {"store": "s", "splits": ["valid"], "fingerprint": "f"}
        return {"model": {"path": name, "sha256": name * 64}, "data": data, "images": images}

    def better(loss):
        found = compare(document("a", 0, 0), document("b", 0.01, loss))
        row = found["rows"]["all"]["gland"]["pq"]
        assert row["p_holm"] < 0.05
        (line,) = (line for line in markdown(report_on_both(found)).splitlines() if line.startswith("| PQ"))
        return row["difference"] > 0, row["rank_sum"] > 0, line.split(" | ")[-1].removesuffix(" |")

    assert better(-0.01) == (True, True, "b")
    assert better(-0.04) == (False, True, "not shown")


def test_places_that_cannot_be_written_to(tmp_path):
    check_place(tmp_path / "new" / "report.json")
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(UsageError, match=r"found 'report\.md'"):
        check_place(tmp_path / "report.md")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another --out"):
        check_place(tmp_path / "file" / "report.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(OutputError, match="a folder of that name"):
        check_place(tmp_path / "folder.json")


def test_a_report_that_cannot_be_written(store, perfect, tmp_path):
    document = measure(store, Choice(("valid",)), perfect())
    (tmp_path / "report.md").mkdir()
    with pytest.raises(OutputError, match=r"report\.json"):
        publish(tmp_path / "report.json", document)
    assert not (tmp_path / "report.json").exists()
