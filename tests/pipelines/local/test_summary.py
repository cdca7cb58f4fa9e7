"""What a run came to, for people."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from components.artifacts.evaluation import (
    EVALUATION,
    KIND,
    SCHEMA_VERSION,
    VERDICT,
    Check,
    Verdict,
    write_verdict,
)
from components.artifacts.folder import Manifest, write_artifact
from components.errors import UserError
from pipelines.local.summary import chosen_models, show, summarize

ODD = ("[/Music]", "[bold]x[/]", "[a]", ":heart:", "\\[b]", "[")


def printed(summary: dict[str, Any]) -> str:
    output = StringIO()
    show(summary, Console(file=output, width=200))
    return " ".join(output.getvalue().split())


@pytest.mark.parametrize("odd", ODD)
def test_nothing_of_the_data_is_taken_for_markup(odd: str) -> None:
    checks = [{"name": "mse", "passed": False, "reason": f"reason {odd}"}]
    text = printed(
        {
            "steps": {"train": {"state": "SUCCEEDED", "seconds": 1.0}},
            "metrics": {"mse": 1.25},
            "baselines": {},
            "verdict": {"passed": False, "summary": f"verdict {odd}", "checks": checks},
            "customer": odd,
            "liked": [f"liked {odd}"],
            "recommendations": [
                {"product_id": "1", "title": f"title {odd}", "score": 1.0},
                {"product_id": f"id {odd}", "title": "", "score": 0.5},
            ],
        }
    )
    for shown in (
        "reason {}",
        "Verdict: verdict {}",
        "Customer {} rated best",
        "liked {}",
        "title {}",
    ):
        assert shown.format(odd) in text
    assert f"id {odd}" in text


SPLITS = Manifest("splits", 2, {})


@pytest.fixture
def verdict(tmp_path: Path) -> Path:
    check = Check("mse at most 1", False, 1.25, 1.0, "mse is 1.25 where 1 is allowed.")
    with write_artifact(tmp_path / "verdict", KIND, SCHEMA_VERSION, {"splits": SPLITS}) as writer:
        write_verdict(writer, Verdict((check,)), {"metrics": {"mse": 1.25}, "baselines": {}})
    return tmp_path / "verdict"


def test_a_summary_has_the_figures_and_the_verdict_of_the_evaluation(verdict: Path) -> None:
    summary = summarize(verdict.parent, [], ["deploy"], verdict, None)
    assert summary["verdict"] == json.loads((verdict / VERDICT).read_text())
    assert summary["verdict"]["checks"][0]["figure"] == 1.25
    assert summary["metrics"] == {"mse": 1.25}
    assert summary["splits"] == SPLITS.digest
    assert summary["steps"]["deploy"]["state"] == "SKIPPED"


def test_a_summary_names_the_models_that_training_chose(tmp_path: Path) -> None:
    description = {"ranking": {"model": "ridge", "ndcg_at_10": 0.2}, "seed": 0}
    (tmp_path / "model.json").write_text(json.dumps(description))
    assert chosen_models(tmp_path) == {"ranking": "ridge"}
    assert chosen_models(None) == {}


@pytest.mark.parametrize("name", [VERDICT, EVALUATION])
def test_a_verdict_that_was_changed_is_not_told(verdict: Path, name: str) -> None:
    (verdict / name).write_text((verdict / name).read_text().replace("1.25", "0.25"))
    with pytest.raises(UserError, match=f"{name} differs from what its manifest states"):
        summarize(verdict.parent, [], [], verdict, None)
