"""The page shows everything, runs nothing that comes from data, and needs no network."""

import re
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page

from components.evaluate.evaluate import evaluate
from components.evaluate.settings import EvaluateSettings
from tests.browser import collect_complaints
from tests.evaluate import worlds
from tests.evaluate.worlds import make_world

HOSTILE = "<script>document.title='broken'</script>\"'&"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of products whose titles and categories are code."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "titles", lambda products: [f"{HOSTILE}{i}" for i in range(products)])
        patch.setattr(worlds, "category", lambda taste: f"<img src=x onerror=alert({taste})>")
        world = make_world(folder)
    evaluate(
        EvaluateSettings(),
        ratings=world.ratings,
        splits=world.splits,
        model=world.model,
        report=folder / "report.html",
        verdict=folder / "verdict",
    )
    return folder / "report.html"


def test_titles_and_categories_are_text(report: Path) -> None:
    text = report.read_text()
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;document.title=" in text
    assert "category: &lt;img" in text


def test_asks_nothing_of_the_network(report: Path) -> None:
    text = report.read_text().replace("&lt;img src=", "")
    references = re.findall(r"""(?:src|href)=["']?([^"' >]+)|url\(([^)]+)\)""", text)
    assert {link or image for link, image in references if not (link or image).startswith("#")} == {
        "data:,"
    }


def test_begins_with_the_verdict_and_has_every_section(report: Path) -> None:
    text = report.read_text()
    sections = [
        "The model may be deployed",
        "Model, baselines and champion",
        "The gate",
        "How it learned, and what it promises",
        "Slices",
        "Ten customers",
        "The data",
        "Where the data comes from",
        "Settings and versions",
    ]
    places = [text.index(f"{section}</h") for section in sections]
    assert places == sorted(places)
    assert text.count('<article class="customer">') == 10
    assert "s3://shop/reviews.tsv.gz" in text
    assert "wrong number of columns" in text
    assert "At most 350 MiB." in text


def test_tells_how_exactly_times_are_known_and_what_the_seed_chose(report: Path) -> None:
    text = report.read_text()
    assert "Ratings from 2019-04-14 to 2021-09-30, with times known to the day." in text
    assert "gave within one day, the seed chose 5 to validate and 7 to test." in text


def test_plots_are_vectors_in_the_pages_own_colours(report: Path) -> None:
    drawn = re.findall(r"<svg.*?</svg>", report.read_text(), re.S)
    assert len(drawn) == 9
    for svg in drawn:
        ElementTree.fromstring(svg)
        assert "var(--ink)" in svg or "var(--muted)" in svg
        assert "#0101" not in svg


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_shows_it_without_a_complaint_or_scrolling_sideways(
    report: Path, page: Page, width: int, scheme: Literal["light", "dark"]
) -> None:
    complaints = collect_complaints(page)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(report.as_uri())
    assert complaints == []
    assert page.title() == "Passed: evaluation of the model"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
