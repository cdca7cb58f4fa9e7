"""The tuning pipeline searches in rounds and hands the best settings to the training pipeline."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from components.artifacts.model import DESCRIPTION
from pipelines.compile import compile_pipeline
from pipelines.local import TRIALS
from pipelines.package import read_package
from pipelines.sample_data import write_sample
from pipelines.tuning import tune_locally, tuning_pipeline


def test_batches_are_asked_for_one_after_the_other_and_the_best_is_trained(tmp_path: Path) -> None:
    compiled = tmp_path / "tuning.yaml"
    compile_pipeline(compiled, build=partial(tuning_pipeline, rounds=2))
    tasks = read_package(compiled).pipeline.root.dag.tasks
    assert list(tasks["tell"].dependent_tasks) == ["for-loop-1"]
    assert list(tasks["ask-2"].dependent_tasks) == ["tell"]
    assert set(tasks["for-loop-2"].dependent_tasks) == {"ask-2", "prepare"}
    assert list(tasks["conclude"].dependent_tasks) == ["tell-2"]
    handed = tasks["alsolike-training"].inputs.parameters
    best = {
        name for name in handed if handed[name].task_output_parameter.producer_task == "conclude"
    }
    assert best >= {"rating_model", "learning_rate", "ranking_model", "ranking_recency"}
    assert handed["source_version"].task_output_parameter.producer_task == "resolve"


@pytest.mark.slow
def test_a_search_on_this_machine_ends_in_a_model_with_the_best_settings(tmp_path: Path) -> None:
    write_sample(tmp_path / "ratings.tsv.gz", 6000, seed=0)
    given = {"objective": "ranking", "batch": "2", "epochs": "2"}
    source = str(tmp_path / "ratings.tsv.gz")
    runs = tmp_path / "runs"
    summary = tune_locally(source, given, Console(quiet=True), runs, rounds=2)
    page = (Path(summary["folder"]) / TRIALS).read_text()
    rows = re.findall(r"<tr(?: class=\"best\")?><td>(\d+)</td>", page)
    assert rows == ["0", "1", "2", "3"]
    (description,) = (runs / "latest" / "artifacts").glob(f"*/train/model/{DESCRIPTION}")
    settings = json.loads(description.read_text())["settings"]
    best = re.search(r"<tr class=\"best\">.*?</tr>", page, re.DOTALL)
    assert best is not None
    assert f"<td>{settings['ranking_model']}</td>" in best[0]
    assert f"<td>{settings['ranking_recency']:.4g}</td>" in best[0]
