"""The page shows everything, runs nothing that comes from data, and needs no network."""

import re
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page

from components.artifacts.evaluation import EVALUATION, VERDICT
from components.evaluate.evaluate import evaluate
from components.evaluate.settings import EvaluateSettings
from tests.browser import collect_complaints
from tests.evaluate import worlds
from tests.evaluate.worlds import World, make_world

WIDER_THAN_THEIR_BOX = """
    [...document.querySelectorAll("details")].forEach(part => part.open = true),
    [...document.querySelectorAll(".scroll")]
        .filter(box => box.scrollWidth > box.clientWidth).map(box => box.innerText)
"""
HOSTILE = "<script>document.title='broken'</script>\"'&"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Products whose titles and categories are code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "titles", lambda products: [f"{HOSTILE}{i}" for i in range(products)])
        patch.setattr(worlds, "category", lambda taste: f"<img src=x onerror=alert({taste})>")
        return make_world(tmp_path_factory.mktemp("world"))


def write_report(world: World, folder: Path) -> Path:
    evaluate(
        EvaluateSettings(),
        ratings=world.ratings,
        splits=world.splits,
        model=world.model,
        report=folder / "report.html",
        verdict=folder / "verdict",
        run="nightly, 2026-01-05 03:00 UTC",
    )
    return folder / "report.html"


@pytest.fixture(scope="module")
def report(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(world, tmp_path_factory.mktemp("report"))


def test_the_same_inputs_give_the_same_bytes(world: World, report: Path, tmp_path: Path) -> None:
    again = write_report(world, tmp_path)
    for file in ("report.html", f"verdict/{VERDICT}", f"verdict/{EVALUATION}"):
        assert (again.parent / file).read_bytes() == (report.parent / file).read_bytes()


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
    assert "NDCG@10, liked" in text
    assert "of the places in lists are expected to get less than 3 of 5 stars" in text


def test_tells_what_the_seed_chose(report: Path) -> None:
    text = report.read_text()
    assert "gave within one day, the seed chose 5 to validate and 7 to test." in text


def test_says_what_it_is_of(report: Path) -> None:
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", report.read_text()))
    assert facts.pop("Model")
    assert facts == {
        "Data": "s3://shop/reviews.tsv.gz (1 object, 0.0 MB)",
        "Version": "0123abcd",
        "Ratings": "2019-04-14 to 2021-09-30, by the day",
        "Run": "nightly, 2026-01-05 03:00 UTC",
    }


def test_says_how_many_products_are_ranked_of_how_many(report: Path) -> None:
    assert "over all 200 products kept of 200, but" in report.read_text()


def test_the_funnel_leads_from_rows_read_to_ratings_kept(report: Path) -> None:
    table = re.search(r'<table class="funnel">(.*?)</table>', report.read_text(), re.S)
    assert table
    rows = [
        tuple(re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row))
        for row in re.findall(r"<tr.*?</tr>", table[1], re.S)
    ]
    assert rows == [
        ("", "Ratings", "Customers", "Products"),
        ("Rows read", "2,003", "", ""),
        ("no rating: wrong number of columns", "−3", "", ""),
        ("Ratings read", "1,920", "200", "200"),
        ("customers of fewer than 5 ratings", "−40", "−9", "0"),
        ("Ratings kept", "1,920", "200", "200"),
        ("to train", "1,440", "", ""),
        ("to validate", "240", "", ""),
        ("to test", "240", "", ""),
    ]


def test_the_settings_of_every_step_are_shown(report: Path) -> None:
    text = report.read_text()
    for name, value in {
        "max_rejected_fraction": "0.01",
        "min_product_ratings": "10",
        "resamples": "1000",
    }.items():
        assert f'<th scope="row">{name}</th><td>{value}</td>' in text


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
    assert page.evaluate(WIDER_THAN_THEIR_BOX) == []
