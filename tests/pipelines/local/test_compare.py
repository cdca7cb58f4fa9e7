"""Two runs beside each other."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from components.errors import UserError
from pipelines.local.compare import compare


def write_run(
    folder: Path,
    parameters: dict[str, Any],
    metrics: dict[str, float],
    summary: str = "Fine.",
    splits: str = "2c26",
) -> Path:
    """A run folder as the local runner leaves it."""
    folder.mkdir()
    declared = {"epochs": {"defaultValue": 20}, "source": {}, "seed": {"defaultValue": 0}}
    pipeline = {"root": {"inputDefinitions": {"parameters": declared}}}
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(pipeline))
    (folder / "parameters.json").write_text(json.dumps({"source": "s3://shop", **parameters}))
    verdict = {"passed": True, "summary": summary}
    content = {"splits": splits, "metrics": metrics, "verdict": verdict}
    (folder / "summary.json").write_text(json.dumps(content))
    return folder


def printed(first: Path, second: Path) -> str:
    output = StringIO()
    Console(file=output, width=120, force_terminal=True).print(compare(first, second))
    return output.getvalue()


def line(text: str, name: str) -> str:
    return next(row for row in text.splitlines() if f" {name} " in row and "┃" not in row)


def test_prints_the_settings_that_differ_defaults_included(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", {}, {})
    second = write_run(tmp_path / "second", {"epochs": 5}, {})
    text = printed(first, second)
    assert {"20", "5"} <= set(line(text, "epochs").split())
    assert "seed" not in text
    assert "s3://shop" not in text


def test_prints_every_metric_with_its_change_green_where_it_is_better(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", {}, {"mse": 1.0, "ndcg_at_10": 0.2, "mae": 0.5})
    second = write_run(tmp_path / "second", {}, {"mse": 0.9, "ndcg_at_10": 0.1, "rmse": 1})
    text = printed(first, second)
    green, red = "\x1b[32m", "\x1b[31m"
    assert f"{green}-0.1000 (-10.0%)" in line(text, "mse")
    assert f"{red}-0.1000 (-50.0%)" in line(text, "ndcg_at_10")
    assert "%" not in line(text, "mae")


def test_of_different_test_sets_the_metrics_are_shown_and_not_compared(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", {}, {"mse": 1.0}, splits="2c26")
    second = write_run(tmp_path / "second", {}, {"mse": 0.9}, splits="fcde")
    text = printed(first, second)
    assert "different test sets" in text
    assert {"1.0000", "0.9000"} <= set(line(text, "mse").split())
    assert "%" not in text
    assert "difference" not in text
    assert "test sets" not in printed(first, first)


def test_a_run_without_metrics_has_no_other_test_set(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", {}, {"mse": 1.0})
    second = write_run(tmp_path / "second", {}, {}, splits="")
    assert "test sets" not in printed(first, second)


def test_prints_both_verdicts(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", {}, {}, "Passed [all].")
    second = write_run(tmp_path / "second", {}, {}, "Failed.")
    text = printed(first, second)
    assert "Passed [all]." in line(text, "first")
    assert "Failed." in line(text, "second")


@pytest.mark.parametrize("odd", ["[bold]x[/]", "[/Music]", "[a]", ":heart:"])
def test_nothing_of_a_run_is_taken_for_markup(tmp_path: Path, odd: str) -> None:
    first = write_run(tmp_path / odd.replace("/", ""), {"source": odd}, {"mse": 1}, f"No {odd}.")
    second = write_run(tmp_path / "second", {}, {"mse": 1})
    text = printed(first, second)
    assert f" {odd} " in line(text, "source")
    assert f"No {odd}." in text
    assert text.count(first.name) >= 3


def test_a_folder_without_a_run_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    run = write_run(tmp_path / "first", {}, {})
    with pytest.raises(UserError, match="is not a run"):
        compare(run, tmp_path / "nothing")
    (run / "summary.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        compare(run, run)
