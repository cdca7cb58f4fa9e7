"""Compare two runs: their settings, their metrics and their verdicts."""

import json
from pathlib import Path
from typing import Any

import yaml
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from components.artifacts.evaluation import LOWER_IS_BETTER, METRICS
from components.errors import UserError
from pipelines.local.summary import SUMMARY

_Pair = tuple[dict[str, Any], dict[str, Any]]
"""The same values of the first and of the second run."""

_OTHER_TEST_SET = (
    "The runs have different test sets, so their metrics cannot be compared: the data, or the "
    "settings of ingest or prepare, differ."
)
_PARAMETERS = "parameters.json"
_PIPELINE = "pipeline.yaml"


def compare(first: Path, second: Path) -> RenderableType:
    """Make tables of the differing settings, the metrics and the verdicts of two runs.

    Raises:
        UserError: if a folder is not that of a run.
    """
    summaries = _read(first, SUMMARY), _read(second, SUMMARY)
    names = first.resolve().name, second.resolve().name
    return Group(
        _settings(names, (_parameters(first), _parameters(second))),
        _metrics(names, summaries),
        *([] if _share_test_set(summaries) else [_OTHER_TEST_SET]),
        _verdicts(names, summaries),
    )


def _read(run: Path, name: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((run / name).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{run} is not a run, it has no {name}: name a folder in runs/") from None
    except ValueError:
        raise UserError(f"{run / name} is damaged: run the pipeline again") from None
    return content


def _parameters(run: Path) -> dict[str, Any]:
    """Every parameter of a run: the given value, or the default of its pipeline."""
    with (run / _PIPELINE).open() as file:
        pipeline, *_ = yaml.safe_load_all(file)
    declared = pipeline["root"]["inputDefinitions"]["parameters"]
    defaults = {name: declared[name].get("defaultValue") for name in declared}
    return defaults | _read(run, _PARAMETERS)


def _share_test_set(summaries: _Pair) -> bool:
    """Whether both runs were measured on the same ratings, by the digest of their splits.

    A run that was not evaluated has no metrics, so it is comparable with every other run.
    """
    digests = {summary["splits"] for summary in summaries if summary["metrics"]}
    return len(digests) < 2


def _settings(names: tuple[str, str], parameters: _Pair) -> Table:
    table = Table("setting", title="Settings that differ")
    for name in names:
        table.add_column(Text(name))
    ours, theirs = parameters
    for name in sorted(ours.keys() | theirs.keys()):
        before, after = ours.get(name), theirs.get(name)
        if before != after:
            table.add_row(Text(name), _text(before), _text(after))
    return table


def _metrics(names: tuple[str, str], summaries: _Pair) -> Table:
    """Every metric of both runs, and the differences if they have the same test set."""
    comparable = _share_test_set(summaries)
    table = Table(title="Metrics")
    table.add_column("metric", no_wrap=True)
    for column in (*names, *(["difference"] if comparable else [])):
        table.add_column(Text(column), justify="right", overflow="fold")
    before, after = (summary["metrics"] for summary in summaries)
    for metric in METRICS:
        if metric in before or metric in after:
            pair = before.get(metric), after.get(metric)
            difference = [_difference(metric, *pair)] if comparable else []
            table.add_row(metric, *map(_figure, pair), *difference)
    return table


def _verdicts(names: tuple[str, str], summaries: _Pair) -> Table:
    table = Table("run", "verdict", title="Verdicts")
    for name, summary in zip(names, summaries, strict=True):
        verdict = summary["verdict"]
        table.add_row(Text(name), Text(verdict["summary"] if verdict else "not evaluated"))
    return table


def _difference(metric: str, before: float | None, after: float | None) -> Text:
    """The change, green if it is an improvement; empty if a value is missing."""
    if before is None or after is None:
        return Text()
    change = after - before
    if change == 0:
        return Text("0")
    colour = "green" if (change < 0) == (metric in LOWER_IS_BETTER) else "red"
    relative = f" ({change / before:+.1%})" if before else ""
    return Text(f"{change:+.4f}{relative}", colour)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _text(value: Any) -> Text:
    return Text("" if value is None else str(value))
