"""The tuning pipeline searches in rounds and hands the best settings to the training pipeline."""

import csv
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from rich.console import Console

from components.artifacts.model import DESCRIPTION
from components.errors import UserError
from pipelines.compile import compiled_package
from pipelines.definition.components import SEARCHED
from pipelines.definition.environment import load_environment
from pipelines.definition.package import Package
from pipelines.local.run import run
from pipelines.local.sample_data import write_sample
from pipelines.local.summary import TRIALS
from pipelines.local.tune import tune_locally
from pipelines.training import training_pipeline
from pipelines.tuning import for_tuning, tuning_pipeline


@pytest.fixture(scope="module")
def compiled() -> Iterator[Package]:
    with compiled_package(build=lambda _: tuning_pipeline(rounds=2)) as package:
        yield package


def test_it_takes_what_training_takes_but_what_it_finds_itself(compiled: Package) -> None:
    declared = compiled.pipeline.root.input_definitions.parameters
    training = training_pipeline().pipeline_spec.root.input_definitions.parameters
    assert {"num_embeddings", "ranking_recency"} <= SEARCHED.keys()
    own = {"objective", "trials", "minutes", "batch"}
    assert declared.keys() == training.keys() - SEARCHED.keys() | own
    for name in declared.keys() & training.keys():
        assert declared[name] == training[name]
    assert all(parameter.description for parameter in declared.values())


def test_what_it_is_given_comes_to_the_steps(compiled: Package) -> None:
    steps = compiled.steps()
    for step, name in (
        ("ingest", "customer_column"),
        ("prepare", "fixpoint"),
        ("ask", "batch"),
        ("trial", "epochs"),
        ("evaluate", "gate"),
        ("deploy", "destination"),
    ):
        handed = steps[step].inputs.parameters[name]
        assert handed.component_input_parameter == f"pipelinechannel--{name}"


def test_batches_are_asked_for_one_after_the_other_and_the_best_is_trained(
    compiled: Package,
) -> None:
    tasks = compiled.pipeline.components["comp-exit-handler-1"].dag.tasks
    assert list(tasks["tell"].dependent_tasks) == ["for-loop-2"]
    assert list(tasks["ask-2"].dependent_tasks) == ["tell"]
    assert set(tasks["for-loop-3"].dependent_tasks) == {"ask-2", "prepare"}
    assert list(tasks["conclude"].dependent_tasks) == ["tell-2"]
    handed = tasks["train"].inputs.parameters
    best = {
        name for name in handed if handed[name].task_output_parameter.producer_task == "conclude"
    }
    assert best == SEARCHED.keys()


def test_a_cluster_has_its_defaults_but_those_that_are_searched() -> None:
    prod = load_environment("prod")
    given = prod.parameters | {"num_embeddings": 32}
    tuned = for_tuning(prod.model_copy(update={"parameters": given}))
    assert (tuned.pipeline, tuned.parameters) == ("alsolike-tuning", prod.parameters)


def test_the_settings_of_the_search_are_refused_before_anything_starts(tmp_path: Path) -> None:
    for wrong in ({"trials": "0"}, {"minutes": "-1"}, {"batch": "no"}, {"objective": "stars"}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            tune_locally(None, wrong, Console(quiet=True), tmp_path)
    with pytest.raises(UserError, match=r"no parameter 'trails': .*did you mean trials"):
        tune_locally(None, {"trails": "3"}, Console(quiet=True), tmp_path)
    assert list(tmp_path.iterdir()) == []


COLUMNS = {
    "format": "csv",
    "customer_column": "user_id:token",
    "product_column": "item_id:token",
    "rating_column": "rating:float",
    "date_column": "timestamp:float",
}


def write_columns(file: Path) -> None:
    """Ratings under the column names of another world, as no format has them."""
    write_sample(file.with_suffix(".tsv.gz"), 6000, seed=0)
    fields = ("customer_id", "product_id", "star_rating", "review_date")
    with gzip.open(file.with_suffix(".tsv.gz"), "rt") as source, file.open("w") as target:
        writer = csv.writer(target, delimiter="\t")
        writer.writerow(name for key, name in COLUMNS.items() if key != "format")
        for row in csv.DictReader(source, delimiter="\t", quoting=csv.QUOTE_NONE):
            writer.writerow(row[field] for field in fields)
    file.with_suffix(".tsv.gz").unlink()


@pytest.mark.slow
def test_a_search_on_this_machine_ends_in_a_model_with_the_best_settings(tmp_path: Path) -> None:
    """Of ratings whose columns are named, judged by a gate of one's own.

    The graph has one round more than the trials take.
    """
    write_columns(tmp_path / "ratings.inter")
    gate = '[{"metric": "mse", "comparison": "at_most", "threshold": 9}]'
    given = {"objective": "ranking", "trials": "3", "batch": "2", "epochs": "2", "gate": gate}
    source, runs = str(tmp_path / "ratings.inter"), tmp_path / "runs"
    with compiled_package(build=lambda _: tuning_pipeline(rounds=3)) as package:
        summary = run(source, given | COLUMNS, Console(quiet=True), runs, package.path)
    page = (Path(summary["folder"]) / TRIALS).read_text()
    rows = re.findall(r"<tr(?: class=\"kept\")?><th scope=\"row\">(\d+)</th>", page)
    assert rows == ["0", "1", "2"]
    (description,) = (runs / "latest" / "artifacts").glob(f"*/train/model/{DESCRIPTION}")
    settings = json.loads(description.read_text())["settings"]
    best = re.search(r"<tr class=\"kept\">.*?</tr>", page, re.DOTALL)
    assert best is not None
    assert f">{settings['ranking_model']}</td>" in best[0]
    assert f">{settings['ranking_recency']:.4g}</td>" in best[0]
    assert 9 in [check["threshold"] for check in summary["verdict"]["checks"]]
    assert summary["endpoint"]["checked"]
