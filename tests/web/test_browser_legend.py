"""The legend where some objects have no class, in a browser."""

import pytest
from browsing import CHROMIUM, watched
from drawn import nuclei, unsure_nuclei, write_result
from served import NAME, start

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine; apt-get install chromium"
)

UNSURE = int((unsure_nuclei().codes < 0).sum())


@pytest.fixture
def browser(context, cohort, slide_file, tmp_path):
    write_result(tmp_path / "unsure" / NAME, slide_file, found_nuclei=unsure_nuclei())
    link, stop = start(tmp_path / "unsure", compare=cohort)
    with watched(context, link) as browser:
        yield browser
    stop()


def lines(browser):
    """Of the nuclei: what stands in the legend, and the count of the slide."""
    rows = browser.page.locator("section.legend").first.locator("tbody tr, tfoot tr")
    texts = [row.inner_text().replace(",", "").split("\t") for row in rows.all()]
    return {name.strip().lower(): int(count) for name, count, *_ in texts}


def test_lines_of_the_legend_add_up(browser):
    browser.open(f"#/slide/{NAME}?x=1000&y=800&zoom=1")
    found = lines(browser)
    assert found.pop("all") == len(nuclei().codes) == sum(found.values())
    assert found["unclassified"] == UNSURE
    row = browser.page.locator("section.legend").first.locator("tr", has_text="unclassified")
    assert row.get_by_role("button").count() == 0
    glands = browser.page.locator("section.legend").nth(1).inner_text().lower()
    assert "surface epithelium" in glands
    assert "unclassified" not in glands


def test_one_of_two_results_has_objects_without_a_class(browser):
    browser.open(f"#/slide/{NAME}?x=1000&y=800&zoom=1&compare=classes")
    row = browser.page.locator("section.legend").first.locator("tbody tr", has_text="unclassified")
    row.wait_for()
    cells = [cell.inner_text().replace(",", "") for cell in row.locator("td").all()]
    assert cells[:2] == [str(UNSURE), "0"]
