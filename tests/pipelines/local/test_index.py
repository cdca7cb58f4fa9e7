"""The page over all runs lists every run that has a summary, and leads to its pages."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from pipelines.local.index import write_index


def add_run(runs: Path, name: str, **summary: Any) -> None:
    folder = runs / name
    folder.mkdir(parents=True)
    (folder / "log.txt").touch()
    if summary.get("verdict"):
        (folder / "report.html").touch()
    (folder / "summary.json").write_text(json.dumps({"source": "ratings.csv", **summary}))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    figures = {"mse": 0.8125, "ndcg_at_10": 0.25}
    passed, refused = ({"passed": passed, "summary": "Why."} for passed in (True, False))
    models = {"rating": "bayes", "ranking": "ridge"}
    add_run(tmp_path, "2026-01-01", verdict=passed, metrics=figures, models=models)
    add_run(tmp_path, "2026-01-02", verdict=refused, metrics={"mse": None}, source="<b>.csv")
    error = {"step": "prepare", "message": "error: prepare: too few ratings"}
    add_run(tmp_path, "2026-01-03", verdict=None, error=error, source=None)
    (tmp_path / "2026-01-04").mkdir()
    (tmp_path / "latest").symlink_to("2026-01-03")
    write_index(tmp_path)
    return tmp_path


def test_every_run_has_a_row_the_newest_first(runs: Path) -> None:
    text = (runs / "index.html").read_text()
    assert re.findall(r'scope="row">([\d-]+)<', text) == ["2026-01-03", "2026-01-02", "2026-01-01"]
    assert re.findall(r"<b class=.*?>(.*?)</b>", text) == [
        "failed in prepare",
        "refused",
        "deployed",
    ]
    assert ">prepare: too few ratings<" in text
    assert "0.8125" in text
    assert "bayes, ridge" in text
    assert "&lt;b&gt;.csv" in text


def test_links_lead_to_what_a_run_has_without_a_server(runs: Path) -> None:
    links = re.findall(r'<a href="(.*?)"', (runs / "index.html").read_text())
    assert links == [
        "2026-01-03/log.txt",
        *("2026-01-02/report.html", "2026-01-02/log.txt"),
        *("2026-01-01/report.html", "2026-01-01/log.txt"),
    ]
    assert all((runs / link).is_file() for link in links)


def test_nothing_else_is_left_in_the_folder(runs: Path) -> None:
    before = sorted(runs.iterdir())
    write_index(runs)
    assert sorted(runs.iterdir()) == before


@pytest.mark.browser
def test_it_fits_a_phone(runs: Path, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto((runs / "index.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("link", name="report").last.click()
    assert page.url.endswith("2026-01-01/report.html")


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_summary_keeps_no_other_run_from_the_page(runs: Path, content: str) -> None:
    (runs / "2026-01-02" / "summary.json").write_text(content)
    write_index(runs)
    text = (runs / "index.html").read_text()
    assert "its summary.json is damaged" in text
    assert "bayes, ridge" in text
