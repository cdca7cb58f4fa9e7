"""The page shows every trial, marks the best, and draws what each setting did."""

import re
from typing import Any

from components.tune.page import render
from components.tune.study import propose


def results() -> list[dict[str, Any]]:
    done: list[dict[str, Any]] = [
        proposal | {"figures": {"validation_mse": 1.5 - 0.1 * proposal["number"]}}
        for proposal in propose("rating", [], 12, seed=0)
    ]
    done[3] = {**done[3], "figures": {}, "error": "loss <nan> in epoch 2"}
    return done


def test_every_trial_has_a_row_and_the_best_is_marked() -> None:
    page = render("rating", results())
    rows = re.findall(r"<tr(?: class=\"best\")?><td>(\d+)</td>", page)
    assert [int(row) for row in rows] == list(range(12))
    assert re.findall(r"<tr class=\"best\"><td>(\d+)</td>", page) == ["11"]
    assert "0.40000" in page
    assert "loss &lt;nan&gt; in epoch 2" in page


def test_the_plot_has_a_panel_for_every_setting() -> None:
    page = render("rating", results())
    assert page.count("<svg") == 1
    for name in ("trial", "rating_model", "num_embeddings", "learning_rate", "weight_decay"):
        assert f">{name}</text>" in page


def test_the_page_is_the_same_for_the_same_trials_and_loads_nothing() -> None:
    page = render("rating", results())
    assert page == render("rating", results())
    assert not re.search(r"(?:src|href)=\"http", page)
