"""The pipelines that we compile keep the rules, and each rule can be broken."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from components import images
from pipelines.compile import compile_pipeline
from pipelines.definition.difference import outline
from pipelines.definition.environment import load_environment
from pipelines.definition.package import Package, read_package
from pipelines.tuning import for_tuning, tuning_pipeline
from tests.pipelines import policies
from tests.pipelines.policies import Rule

NAMES = ("portable", "dev", "prod", "tuning")
GOLDEN = Path(__file__).with_name("golden") / "prod.txt"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    """The pipeline that ships, that of each environment, and production's tuning pipeline."""
    folder = tmp_path_factory.mktemp("compiled")
    compile_pipeline(folder / "portable.yaml")
    for name in ("dev", "prod"):
        compile_pipeline(folder / f"{name}.yaml", load_environment(name))
    prod = for_tuning(load_environment("prod"))
    compile_pipeline(folder / "tuning.yaml", prod, partial(tuning_pipeline, 2))
    return {name: read_package(folder / f"{name}.yaml") for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", policies.EVERYWHERE, ids=lambda rule: rule.__name__)
def test_every_pipeline_keeps(compiled: dict[str, Package], name: str, rule: Rule) -> None:
    assert list(rule(compiled[name])) == []


@pytest.mark.parametrize("name", ["dev", "prod", "tuning"])
@pytest.mark.parametrize("rule", policies.ON_A_CLUSTER, ids=lambda rule: rule.__name__)
def test_on_a_cluster_it_keeps(compiled: dict[str, Package], name: str, rule: Rule) -> None:
    assert list(rule(compiled[name])) == []


@pytest.mark.parametrize("name", ["dev", "prod", "tuning"])
def test_a_wrong_setting_costs_one_retry_because_any_failure_does(
    compiled: dict[str, Package], name: str
) -> None:
    retries = {step.retry_policy.max_retry_count for step in compiled[name].steps().values()}
    assert retries == {1}


def test_every_image_has_a_digest_once_images_are_locked(tmp_path: Path) -> None:
    names = (images.DATA, images.TRAIN, images.TRAIN_GPU, images.SERVE)
    locked = load_environment("prod").model_copy(
        update={"digests": dict.fromkeys(names, f"sha256:{'a' * 64}")}
    )
    compile_pipeline(tmp_path / "locked.yaml", locked)
    assert list(policies.images_have_digests(read_package(tmp_path / "locked.yaml"))) == []


def test_training_has_a_gpu_in_production_alone(compiled: dict[str, Package]) -> None:
    def with_gpu(name: str) -> set[str]:
        found = policies.containers(compiled[name])
        return {step for step, c in found.items() if "accelerator" in c.get("resources", {})}

    assert [with_gpu(name) for name in NAMES] == [
        set(),
        set(),
        {"train"},
        {"train", "trial", "trial-2"},
    ]


def test_the_pipeline_that_ships_asks_nothing_of_a_platform(compiled: dict[str, Package]) -> None:
    assert not compiled["portable"].platform.platforms


def test_the_defaults_of_an_environment_are_shown_in_the_ui(compiled: dict[str, Package]) -> None:
    declared = compiled["prod"].pipeline.root.input_definitions.parameters
    assert declared["device"].default_value.string_value == "gpu"
    served = declared["serve_image"].default_value.string_value
    assert served == f"registry.example.com/{images.SERVE}"


def test_each_parameter_says_which_step_it_belongs_to(compiled: dict[str, Package]) -> None:
    declared = compiled["portable"].pipeline.root.input_definitions.parameters
    groups = {parameter.description.partition(":")[0] for parameter in declared.values()}
    steps = {"Ingest", "Prepare", "Train", "Evaluate", "Deploy"}
    assert groups == steps | {"Ingest and prepare", "All steps"}


def test_the_webhook_learns_the_page_of_the_run(compiled: dict[str, Package]) -> None:
    notify = compiled["prod"].steps()["notify"].inputs.parameters
    # Kubeflow resolves a placeholder only where it is the whole value.
    constants = {
        name: notify[name].runtime_value.constant.string_value for name in ("ui", "run_id")
    }
    assert constants == {
        "ui": "https://kubeflow.example.com/_/pipeline",
        "run_id": "{{$.pipeline_job_uuid}}",
    }


def test_the_report_the_metrics_and_the_verdict_are_seen_at_the_step(
    compiled: dict[str, Package],
) -> None:
    package = compiled["portable"]
    evaluate = package.pipeline.components[package.steps()["evaluate"].component_ref.name]
    artifacts = evaluate.output_definitions.artifacts
    kinds = {name: output.artifact_type.schema_title for name, output in artifacts.items()}
    assert kinds == {
        "report": "system.HTML",
        "metrics": "system.Metrics",
        "verdict": "system.Artifact",
    }


def test_a_change_of_the_dag_is_meant(compiled: dict[str, Package]) -> None:
    """A golden file, which `make golden` writes again; pipelines/training.yaml is the other one."""
    lines = "\n".join(outline(compiled["prod"])) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(lines)
    assert lines == GOLDEN.read_text()


BREACHES: list[tuple[Rule, str, str, str]] = [
    (policies.gpu_steps_are_whole, "tolerations:", "tolerated:", "train has no toleration"),
    (policies.gpu_steps_are_whole, "medium: Memory", "medium: ''", "no memory-backed /dev/shm"),
    (policies.gpu_steps_are_whole, "maxRetryCount: 1", "maxRetryCount: 0", "train has no retry"),
    (policies.gpu_steps_are_whole, "resourceMemoryLimit: 16Gi", "", "train has no memory limit"),
    (policies.every_step_is_bounded, "activeDeadlineSeconds:", "idle:", "prepare has no time-out"),
    (policies.every_step_is_bounded, "resourceCpuRequest:", "idle:", "no processors"),
    (
        policies.no_secret_is_literal,
        "name: AWS_DEFAULT_REGION",
        "name: AWS_SECRET_ACCESS_KEY",
        "ingest has AWS_SECRET_ACCESS_KEY as text",
    ),
    (policies.no_secret_is_literal, "eu-central-1", "AKIAABCDEFGHIJKLMNOP", "AKIAABCD"),
    (policies.images_have_digests, "", "", "train runs registry.example.com/alsolike/train-gpu"),
    (policies.deploy_is_behind_the_gate, "== true", "== false", "deploy runs if"),
    (
        policies.what_reads_the_world_is_not_cached,
        "cachingOptions: {}",
        "cachingOptions: {enableCache: true}",
        "deploy is cached",
    ),
    (
        policies.the_outcome_is_always_posted,
        "ALL_UPSTREAM_TASKS_COMPLETED",
        "ALL_UPSTREAM_TASKS_SUCCEEDED",
        "notify does not run after a failure",
    ),
]


@pytest.mark.parametrize(("rule", "old", "new", "words"), BREACHES)
def test_a_breach_is_found(
    compiled: dict[str, Package], tmp_path: Path, rule: Rule, old: str, new: str, words: str
) -> None:
    breach = tmp_path / "breach.yaml"
    text = compiled["prod"].path.read_text()
    assert old in text
    breach.write_text(text.replace(old, new))
    assert any(words in found for found in lenient(rule, breach))


def lenient(rule: Rule, file: Path) -> Iterator[str]:
    return rule(read_package(file))


def test_a_parameter_without_a_description_is_found(
    compiled: dict[str, Package], tmp_path: Path
) -> None:
    file = tmp_path / "breach.yaml"
    file.write_text(compiled["prod"].path.read_text())
    package = read_package(file)
    package.pipeline.root.input_definitions.parameters["device"].description = ""
    assert list(policies.everything_is_described(package)) == [
        "parameter device has no description"
    ]
