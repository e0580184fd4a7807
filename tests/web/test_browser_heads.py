"""Results of models with some heads only, in a browser."""

import csv
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from browsing import CHROMIUM, watched
from drawn import nuclei, write_result
from served import start

from histocerb.core.tasks import CERBERUS

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine; apt-get install chromium"
)

NUCLEI, TISSUE = ["nuclei.instance"], ["tissue.patch"]
DASH = "\N{EN DASH}"
ALL = [head.name for head in CERBERUS.heads]


@pytest.fixture
def results(slide_file, tmp_path):
    """Writes results into a folder: the heads of their models by the names of slides."""

    def written(folder, **heads):
        for name, some in heads.items():
            write_result(tmp_path / folder / name, slide_file, spec=CERBERUS.only(some))
        return tmp_path / folder

    return written


@contextmanager
def viewed(context, folder, compare=None):
    link, stop = start(folder, compare=compare)
    with watched(context, link) as browser:
        yield browser
    stop()


def test_tissue_alone_is_shown(context, results):
    with viewed(context, results("trial", one=TISSUE)) as browser:
        browser.open("#/slide/one?x=1000&y=800&zoom=1&tissue=1")
        page = browser.page
        assert page.get_by_role("tab").all_inner_texts() == ["Layers", "About"]
        for key in "npg1":
            page.keyboard.press(key)
        page.get_by_role("tab", name="Layers", selected=True).wait_for()
        assert page.locator(".legend h2").all_inner_texts() == ["Tissue"]
        assert page.get_by_role("alert").count() == 0


def test_the_list_has_no_figures_of_what_was_not_looked_for(context, results):
    with viewed(context, results("trial", one=ALL, two=NUCLEI)) as browser:
        browser.open_cohort()
        headings, *rows = (
            row.locator("th, td").all_inner_texts() for row in browser.page.locator("table.slides tr").all()
        )
        headings = [text.strip("↓↑ \n") for text in headings]
        one, two = (dict(zip(headings, row, strict=True)) for row in rows)
        missing = [name for name in headings if two[name] == DASH]
        assert missing == ["Glands", "Glands /mm²", "Lumina", "Lumina /mm²"]
        assert DASH not in one.values()


@pytest.mark.parametrize(("first", "second"), [(ALL, NUCLEI), (NUCLEI, ALL), (TISSUE, ALL)])
def test_what_either_of_two_results_has_is_listed(context, results, first, second):
    folders = results("first", one=first), results("second", one=second)
    with viewed(context, folders[0], folders[1]) as browser:
        browser.open("#/slide/one?x=1300&y=1050&zoom=0.12&compare=changes")
        page = browser.page
        kinds = page.locator(".legend h2").all_inner_texts()
        assert sorted(kinds) == ["Glands", "Lumina", "Nuclei", "Tissue"]
        change = "lost" if first is ALL else "new"
        browser.until(f"document.querySelector('[data-testid=gland-{change}]').innerText == '2'")
        other = "new" if first is ALL else "lost"
        assert page.get_by_test_id(f"gland-{other}").inner_text() == DASH
        page.get_by_role("button", name="Show lumina").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV", exact=True).click()
        with Path(download.value.path()).open(encoding="utf-8") as file:
            found = Counter(row["kind"] for row in csv.DictReader(file))
        assert found == {"nucleus": len(nuclei().codes), "gland": 2}
        page.get_by_role("tab", name="Differences").click()
        page.get_by_label("Kind").select_option("gland")
        browser.until("document.querySelectorAll('.picture').length == 2")
        page.keyboard.press("n")
        page.get_by_role("tab", name="Object").click()
        assert page.get_by_test_id("change").inner_text().startswith(change.capitalize())
        assert page.get_by_role("alert").count() == 0
