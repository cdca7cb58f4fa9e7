"""The platform settings of the steps on Kubernetes."""

from typing import Literal

from kfp import kubernetes
from kfp.dsl import PipelineTask

from components import images
from pipelines.definition.environment import Environment, Gpu, Resources, SecretKeys

StepName = Literal[
    "resolve", "ingest", "prepare", "train", "evaluate", "deploy", "notify", "search"
]

_USES_S3 = ("resolve", "ingest", "train", "evaluate", "deploy")


def apply_platform(task: PipelineTask, step: StepName, environment: Environment) -> None:
    """Set the image, resources, accelerator, secrets, time limit and retries of a step's pod.

    Args:
        task: the task of the step.
        step: its name.
        environment: the cluster.

    Raises:
        UserError: if images are locked, but not that of the step.
    """
    on_gpu = step == "train" and environment.gpu is not None
    task.set_container_image(
        environment.image(images.TRAIN_GPU if on_gpu else task.container_spec.image)
    )
    # Required in namespaces that enforce the pod security level `restricted`.
    kubernetes.set_security_context(task, run_as_non_root=True)
    _apply_resources(task, getattr(environment.steps, step))
    if environment.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(environment.image_pull_secrets))
    if step in _USES_S3:
        _apply_object_store(task, environment)
    if step == "train" and environment.gpu:
        _apply_gpu(task, environment.gpu)
    if step == "notify" and environment.webhook:
        _apply_secret(task, environment.webhook)


def _apply_resources(task: PipelineTask, resources: Resources) -> None:
    task.set_cpu_request(resources.cpu)
    task.set_memory_request(resources.memory)
    task.set_memory_limit(resources.memory)
    task.set_retry(
        resources.retries,
        backoff_duration=f"{resources.backoff_seconds}s",
        backoff_factor=resources.backoff_factor,
        # Counted from the start of the first pod, not of a wait.
        backoff_max_duration=f"{resources.longest_seconds}s",
    )
    kubernetes.set_timeout(task, resources.timeout_minutes * 60)
    if resources.shared_memory:
        kubernetes.empty_dir_mount(
            task,
            volume_name="shared-memory",
            mount_path="/dev/shm",
            medium="Memory",
            size_limit=resources.shared_memory,
        )


def _apply_object_store(task: PipelineTask, environment: Environment) -> None:
    for variable, value in environment.store_variables().items():
        task.set_env_variable(variable, value)
    if environment.s3:
        _apply_secret(task, environment.s3)


def _apply_secret(task: PipelineTask, keys: SecretKeys) -> None:
    kubernetes.use_secret_as_env(task, keys.secret, keys.variables, optional=keys.optional)


def _apply_gpu(task: PipelineTask, gpu: Gpu) -> None:
    task.set_accelerator_type(gpu.resource)
    task.set_accelerator_limit(gpu.count)
    for label, value in gpu.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for toleration in gpu.tolerations:
        kubernetes.add_toleration(
            task,
            key=toleration.key,
            operator=toleration.operator,
            value=toleration.value,
            effect=toleration.effect,
        )
