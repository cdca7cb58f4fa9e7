"""The page shows everything, runs nothing that comes from data, and needs no network."""

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from components.evaluate.evaluate import evaluate
from components.evaluate.settings import EvaluateSettings
from tests.evaluate import worlds
from tests.evaluate.worlds import make_world

HOSTILE = "<script>document.title='broken'</script>\"'&"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def test_titles_and_categories_are_text(page: Path) -> None:
    text = page.read_text()
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;document.title=" in text
    assert "category: &lt;img" in text


def test_asks_nothing_of_the_network(page: Path) -> None:
    text = page.read_text().replace("&lt;img src=", "")
    references = re.findall(r"""(?:src|href)=["']?([^"' >]+)|url\(([^)]+)\)""", text)
    assert {link or image for link, image in references if not (link or image).startswith("#")} == {
        "data:,"
    }


def test_begins_with_the_verdict_and_has_every_section(page: Path) -> None:
    text = page.read_text()
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


def test_tells_how_exactly_times_are_known_and_what_the_seed_chose(page: Path) -> None:
    text = page.read_text()
    assert "Ratings from 2019-04-14 to 2021-09-30, with times known to the day." in text
    assert "gave within one day, the seed chose 5 to validate and 7 to test." in text


def test_plots_are_vectors_in_the_pages_own_colours(page: Path) -> None:
    drawn = re.findall(r"<svg.*?</svg>", page.read_text(), re.S)
    assert len(drawn) == 9
    for svg in drawn:
        ElementTree.fromstring(svg)
        assert "var(--ink)" in svg or "var(--muted)" in svg
        assert "#0101" not in svg


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, 1), (390, 0)])
def test_a_browser_shows_it_without_a_complaint(
    page: Path, tmp_path: Path, width: int, scheme: int
) -> None:
    done = browse(
        page,
        tmp_path,
        f"--window-size={width},900",
        f"--blink-settings=preferredColorScheme={scheme}",
        "--enable-logging=stderr",
        "--dump-dom",
    )
    assert "CONSOLE" not in done.stderr
    assert "<title>Passed: evaluation of the model</title>" in done.stdout


@pytest.mark.browser
def test_nothing_is_wider_than_a_phone(page: Path, tmp_path: Path) -> None:
    """The page inside a frame as wide as a phone, measured from outside."""
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" style="width:390px;height:900px" src="{page.as_uri()}"></iframe>'
        "<script>f.onload=()=>{const page=f.contentDocument.documentElement;"
        "document.title=`${page.scrollWidth} of ${page.clientWidth}`}</script>"
    )
    done = browse(frame, tmp_path, "--allow-file-access-from-files", "--dump-dom")
    found = re.search(r"<title>(\d+) of (\d+)</title>", done.stdout)
    assert found
    assert int(found[1]) <= int(found[2])


def browse(page: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        "chromium",
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        f"--user-data-dir={folder / 'profile'}",
        *options,
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
