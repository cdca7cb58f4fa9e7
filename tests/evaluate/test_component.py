"""The component, run by KFP itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl, local

from components.artifacts.evaluation import EVALUATION, read_verdict
from pipelines.definition.components import evaluate
from tests.evaluate.worlds import World, make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


def run(world: World, folder: Path, **parameters: object) -> dict[str, Any]:
    @dsl.pipeline(name="judge")
    def pipeline(gate: list = []) -> None:  # type: ignore[type-arg] # noqa: B006
        inputs = {
            name: dsl.importer(artifact_uri=str(path), artifact_class=kind)
            for name, path, kind in (
                ("ratings", world.ratings, dsl.Dataset),
                ("splits", world.splits, dsl.Dataset),
                ("model", world.model, dsl.Model),
            )
        }
        evaluate(**{name: task.output for name, task in inputs.items()}, gate=gate)

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
    pipeline(**parameters)
    (output,) = folder.rglob("executor_output.json")
    answer: dict[str, Any] = json.loads(output.read_text())
    return answer


def test_passes_on_report_verdict_and_metrics(world: World, tmp_path: Path) -> None:
    answer = run(world, tmp_path)
    (metrics,) = answer["artifacts"]["metrics"]["artifacts"]
    (verdict,) = tmp_path.rglob("verdict")
    (report,) = tmp_path.rglob("report")
    measured = json.loads((verdict / EVALUATION).read_text())["metrics"]
    assert answer["parameterValues"] == {"Output": True}
    assert metrics["metadata"] == measured
    assert read_verdict(verdict).passed
    assert report.read_text().startswith("<!doctype html>")


def test_obeys_a_gate_that_comes_as_a_parameter(world: World, tmp_path: Path) -> None:
    impossible = {"metric": "mse", "comparison": "at_most", "threshold": 0.001}
    answer = run(world, tmp_path, gate=[impossible])
    (verdict,) = tmp_path.rglob("verdict")
    assert answer["parameterValues"] == {"Output": False}
    assert [check.name for check in read_verdict(verdict).checks if not check.passed] == [
        "mse at most 0.001"
    ]
