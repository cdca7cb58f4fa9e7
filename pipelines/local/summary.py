"""The result of a run: tables for people, and `summary.json` for programs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from components.artifacts import splits as splits_format
from components.artifacts.evaluation import (
    EVALUATION,
    KIND,
    RANKING_BASELINES,
    RATING_BASELINES,
    SCHEMA_VERSION,
    read_verdict,
)
from components.artifacts.folder import read_manifest
from components.artifacts.model import DESCRIPTION, model_names
from pipelines.local.progress import StepRun

SUMMARY = "summary.json"
REPORT = "report.html"
TRIALS = "trials.html"
LOG = "log.txt"

_SHOWN = (
    ("rating", ("mse", "rmse", "mae"), RATING_BASELINES),
    ("ranking", ("ndcg_at_10", "liked_ndcg_at_10", "disliked_at_10"), RANKING_BASELINES),
)


@dataclass(frozen=True)
class Answer:
    """An answer of the deployed server.

    Attributes:
        customer: the id of the customer.
        liked: the titles that the customer rated best.
        recommendations: the products in the answer.
    """

    customer: str
    liked: list[str]
    recommendations: list[dict[str, Any]]


def summarize(
    folder: Path,
    steps: Sequence[StepRun],
    skipped: Sequence[str],
    verdict: Path | None,
    answer: Answer | None,
) -> dict[str, Any]:
    """The result of a run, as values for JSON.

    Args:
        folder: the folder of the run, with the report if there is one.
        steps: the steps that ran.
        skipped: the names of the steps that did not run.
        verdict: the folder of the verdict artifact, if there is one.
        answer: the answer of the server, if the model was deployed.
    """
    states = {step.name: {"state": step.state, "seconds": step.seconds} for step in steps}
    states |= {name: {"state": "SKIPPED", "seconds": 0.0} for name in skipped}
    judged = read_verdict(verdict).content if verdict else None
    made_from = read_manifest(verdict, KIND, SCHEMA_VERSION).made_from if verdict else {}
    evaluation = json.loads((verdict / EVALUATION).read_text()) if verdict else {}
    report = folder / REPORT
    return {
        "steps": states,
        "splits": made_from.get(splits_format.KIND),
        "metrics": evaluation.get("metrics", {}),
        "baselines": evaluation.get("baselines", {}),
        "verdict": judged,
        "customer": answer.customer if answer else None,
        "liked": answer.liked if answer else [],
        "recommendations": answer.recommendations if answer else [],
        "report": str(report) if report.exists() else None,
    }


def chosen_models(model: Path | None) -> dict[str, str]:
    """The chosen model by objective, such as `bayes` for `rating`; empty without a model."""
    return model_names(json.loads((model / DESCRIPTION).read_text())) if model else {}


def show(summary: dict[str, Any], console: Console) -> None:
    """Print a summary for people; markup in the data is printed literally."""
    console.print()
    console.print(_steps(summary["steps"]))
    if summary["verdict"]:
        console.print(_metrics(summary))
        console.print(_verdict(summary["verdict"]))
    if summary["recommendations"]:
        console.print(_recommendations(summary))


def _steps(steps: dict[str, dict[str, Any]]) -> Table:
    table = Table("step", "state", title="Steps", title_justify="left")
    table.add_column("seconds", justify="right")
    for name, step in steps.items():
        table.add_row(name, step["state"].lower(), f"{step['seconds']:.1f}")
    total = sum(step["seconds"] for step in steps.values())
    table.add_section()
    table.add_row("all", "", f"{total:.1f}")
    return table


def _metrics(summary: dict[str, Any]) -> RenderableType:
    return Group(
        *(
            _against_baselines(summary, title, metrics, baselines)
            for title, metrics, baselines in _SHOWN
            if metrics[0] in summary["metrics"]
        )
    )


def _against_baselines(
    summary: dict[str, Any], title: str, metrics: Sequence[str], baselines: Sequence[str]
) -> Table:
    table = Table(title.capitalize(), title_justify="left")
    for name in metrics:
        table.add_column(name, justify="right")
    rows = {"model": summary["metrics"]}
    rows |= {name: summary["baselines"].get(name, {}) for name in baselines}
    for name, figures in rows.items():
        label = Text(name, "bold" if name == "model" else "")
        table.add_row(label, *(_figure(figures.get(metric)) for metric in metrics))
    return table


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _verdict(verdict: dict[str, Any]) -> RenderableType:
    title = Text(f"Verdict: {verdict['summary']}", "table.title")
    table = Table("", "reason", title=title, title_justify="left")
    for check in verdict["checks"]:
        mark = Text("✓", "green") if check["passed"] else Text("✗", "red")
        table.add_row(mark, Text(check["reason"]))
    return table


def _recommendations(summary: dict[str, Any]) -> RenderableType:
    liked = Table(title="From the live server", title_justify="left")
    liked.add_column(Text(f"Customer {summary['customer']} rated best"))
    for title in summary["liked"]:
        liked.add_row(Text(title))
    recommended = Table("and may also like")
    recommended.add_column("score", justify="right")
    for product in summary["recommendations"]:
        recommended.add_row(
            Text(product["title"] or product["product_id"]), f"{product['score']:.3f}"
        )
    return Group(liked, recommended)
