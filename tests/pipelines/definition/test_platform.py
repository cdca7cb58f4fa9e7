"""What each step asks of Kubernetes, read back from the compiled pipeline."""

from pathlib import Path
from typing import Any, get_args

import pytest
from google.protobuf import json_format
from kfp import compiler, dsl
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig

from components import images
from pipelines.definition.environment import Environment, load_environment
from pipelines.definition.package import Package, read_package
from pipelines.definition.platform import StepName, apply_platform


@dsl.component(base_image=images.TRAIN, install_kfp_package=False)
def work() -> None:
    pass


def compiled(tmp_path: Path, step: StepName, environment: Environment) -> Package:
    @dsl.pipeline(name="one-step")
    def one_step() -> None:
        apply_platform(work(), step, environment)

    file = tmp_path / "pipeline.yaml"
    compiler.Compiler().compile(one_step, str(file))
    return read_package(file)


def container(package: Package) -> dict[str, Any]:
    executors = json_format.MessageToDict(package.pipeline.deployment_spec)["executors"]
    found: dict[str, Any] = executors["exec-work"]["container"]
    return found


def pod(package: Package) -> dict[str, Any]:
    kubernetes = json_format.MessageToDict(package.platform)["platforms"]["kubernetes"]
    found: dict[str, Any] = kubernetes["deploymentSpec"]["executors"]["exec-work"]
    return found


@pytest.fixture(scope="module")
def prod() -> Environment:
    return load_environment("prod")


def test_training_gets_a_gpu_and_the_nodes_that_have_one(tmp_path: Path, prod: Environment) -> None:
    package = compiled(tmp_path, "train", prod)
    accelerator = container(package)["resources"]["accelerator"]
    assert (accelerator["resourceType"], accelerator["resourceCount"]) == ("nvidia.com/gpu", "1")
    assert container(package)["image"] == f"registry.example.com/{images.TRAIN_GPU}"
    assert pod(package)["nodeSelector"]["labels"] == {"nvidia.com/gpu.product": "Tesla-T4"}
    (toleration,) = pod(package)["tolerations"]
    assert toleration == {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def test_shared_memory_lies_in_memory(tmp_path: Path, prod: Environment) -> None:
    (mount,) = pod(compiled(tmp_path, "train", prod))["emptyDirMounts"]
    assert (mount["mountPath"], mount["medium"], mount["sizeLimit"]) == (
        "/dev/shm",
        "Memory",
        "2Gi",
    )


def test_training_without_a_gpu_asks_for_none(tmp_path: Path) -> None:
    package = compiled(tmp_path, "train", load_environment("dev"))
    assert container(package)["image"] == f"registry.example.com/{images.TRAIN}"
    assert "accelerator" not in container(package)["resources"]
    assert "tolerations" not in pod(package)


def test_memory_is_requested_and_limited_alike(tmp_path: Path, prod: Environment) -> None:
    resources = container(compiled(tmp_path, "prepare", prod))["resources"]
    assert resources["resourceMemoryRequest"] == resources["resourceMemoryLimit"] == "8Gi"
    assert resources["resourceCpuRequest"] == "2"
    assert "resourceCpuLimit" not in resources


def test_a_step_is_timed_out_and_tried_again_with_growing_pauses(
    tmp_path: Path, prod: Environment
) -> None:
    package = compiled(tmp_path, "train", prod)
    retry = package.steps()["work"].retry_policy
    assert (retry.max_retry_count, retry.backoff_duration.seconds, retry.backoff_factor) == (
        1,
        30,
        2,
    )
    assert pod(package)["activeDeadlineSeconds"] == str(360 * 60)


def test_a_step_that_fails_at_the_end_of_its_time_has_all_of_it_for_each_retry(
    tmp_path: Path, prod: Environment
) -> None:
    train = prod.steps.train.model_copy(update={"retries": 3})
    steps = prod.steps.model_copy(update={"train": train})
    package = compiled(tmp_path, "train", prod.model_copy(update={"steps": steps}))
    # From the start of the first pod; after it Argo begins no retry, and ends one that runs.
    allowed = package.steps()["work"].retry_policy.backoff_max_duration.seconds
    assert allowed >= 4 * 360 * 60 + 30 + 60 + 120


@pytest.mark.parametrize("step", ["resolve", "ingest", "evaluate", "deploy"])
def test_steps_that_read_s3_get_its_keys_by_the_name_of_a_secret(
    tmp_path: Path, prod: Environment, step: StepName
) -> None:
    package = compiled(tmp_path, step, prod)
    (secret,) = pod(package)["secretAsEnv"]
    assert (secret["secretName"], secret["optional"]) == ("alsolike-s3", True)
    assert {"name": "AWS_DEFAULT_REGION", "value": "eu-central-1"} in container(package)["env"]


def test_other_steps_get_no_keys(tmp_path: Path, prod: Environment) -> None:
    assert "secretAsEnv" not in pod(compiled(tmp_path, "prepare", prod))


def test_the_webhook_is_a_secret_of_the_exit_handler_alone(
    tmp_path: Path, prod: Environment
) -> None:
    (secret,) = pod(compiled(tmp_path, "notify", prod))["secretAsEnv"]
    assert (secret["secretName"], secret["optional"]) == ("alsolike-webhook", True)


def test_the_registry_is_opened_by_a_pull_secret(tmp_path: Path, prod: Environment) -> None:
    (secret,) = pod(compiled(tmp_path, "prepare", prod))["imagePullSecret"]
    assert secret["secretName"] == "alsolike-registry"


@pytest.mark.parametrize("step", get_args(StepName))
def test_a_step_starts_where_pods_must_not_run_as_root(
    tmp_path: Path, prod: Environment, step: StepName
) -> None:
    assert pod(compiled(tmp_path, step, prod))["securityContext"] == {"runAsNonRoot": True}


def test_kubeflow_still_has_no_setting_for_a_read_only_root_file_system() -> None:
    """Once it has, set it, and say so in images/exceptions.yaml."""
    fields = KubernetesExecutorConfig.DESCRIPTOR.fields_by_name["security_context"].message_type
    assert {field.name for field in fields.fields} == {
        "run_as_user",
        "run_as_group",
        "run_as_non_root",
    }
