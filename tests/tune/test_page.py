"""The page shows every trial, marks the best, and draws what each setting did."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from components.tune.page import render
from components.tune.study import propose


def results() -> list[dict[str, Any]]:
    done: list[dict[str, Any]] = [
        proposal | {"figures": {"validation_mse": 1.5 - 0.1 * proposal["number"]}}
        for proposal in propose("rating", [], 12, seed=0)
    ]
    done[3] = {**done[3], "figures": {}, "error": "loss <nan> in epoch 2"}
    return done


@pytest.fixture(scope="module")
def rendered() -> str:
    return render("rating", results())


def test_every_trial_has_a_row_and_the_best_is_marked(rendered: str) -> None:
    rows = re.findall(r"<tr(?: class=\"kept\")?><th scope=\"row\">(\d+)</th>", rendered)
    assert [int(row) for row in rows] == list(range(12))
    assert re.findall(r"<tr class=\"kept\"><th scope=\"row\">(\d+)</th>", rendered) == ["11"]
    assert "0.40000" in rendered
    assert "loss &lt;nan&gt; in epoch 2" in rendered


def test_every_setting_has_a_plot(rendered: str) -> None:
    names = ("trial", "rating_model", "num_embeddings", "learning_rate", "weight_decay")
    for name in names:
        assert f">{name}</text>" in rendered
    assert rendered.count("<svg") >= len(names)


def test_the_page_is_the_same_for_the_same_trials_and_loads_nothing(rendered: str) -> None:
    assert rendered == render("rating", results())
    assert not re.search(r"(?:src|href)=\"http", rendered)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off(rendered: str, page: Page, tmp_path: Path, width: int) -> None:
    file = tmp_path / "trials.html"
    file.write_text(rendered)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].every(box => box.scrollWidth <= box.clientWidth)"
    )


FIGURES = {"validation_ndcg_at_50": 0.1}
BROKEN_WORDS = """() => {
  const context = document.createElement("canvas").getContext("2d");
  const words = (cell) => cell.dataset.label.split(/[ \\u200b]/);
  const broken = (cell) => {
    const style = getComputedStyle(cell, "::before");
    context.font = `${style.fontSize} ${style.fontFamily}`;
    return words(cell).filter((word) => context.measureText(word).width > cell.clientWidth);
  };
  return [...document.querySelectorAll("td[data-label]")].flatMap(broken);
}"""


@pytest.mark.browser
def test_names_of_settings_break_between_words_on_a_phone(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "trials.html"
    [first] = propose("ranking", [], 1, seed=0)
    trials = propose("ranking", [first], 12, seed=0)
    file.write_text(render("ranking", [{**each, "figures": FIGURES} for each in trials]))
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(file.as_uri())
    assert page.evaluate(BROKEN_WORDS) == []
