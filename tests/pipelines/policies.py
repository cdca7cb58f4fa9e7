"""Rules that every compiled pipeline of ours keeps; each returns what breaks it."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf import json_format

from pipelines.definition.package import Package

READS_THE_WORLD = ("resolve", "evaluate", "deploy", "notify")

_SECRET_NAME = re.compile(r"key|secret|token|password|webhook", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"AKIA[0-9A-Z]{16}|-----BEGIN|://[^/\s:]+:[^/\s@]+@")


def containers(package: Package) -> dict[str, Any]:
    """What each step's container is, by step."""
    executors = json_format.MessageToDict(package.pipeline.deployment_spec)["executors"]
    return {step: executors[label]["container"] for step, label in _labels(package)}


def pods(package: Package) -> dict[str, Any]:
    """What Kubernetes is told about each step, by step."""
    platforms = json_format.MessageToDict(package.platform).get("platforms", {})
    executors = platforms.get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    return {step: executors.get(label, {}) for step, label in _labels(package)}


def gpu_steps_are_whole(package: Package) -> Iterator[str]:
    """A step with an accelerator finds its node, shares memory, and is tried again."""
    steps, all_pods = package.steps(), pods(package)
    for step, container in containers(package).items():
        resources, pod = container.get("resources", {}), all_pods[step]
        if "accelerator" not in resources:
            continue
        shared = [m for m in pod.get("emptyDirMounts", []) if m["mountPath"] == "/dev/shm"]
        parts = {
            "toleration": pod.get("tolerations"),
            "node selector": pod.get("nodeSelector"),
            "memory-backed /dev/shm": [m for m in shared if m.get("medium") == "Memory"],
            "memory limit": resources.get("resourceMemoryLimit"),
            "retry": steps[step].retry_policy.max_retry_count,
            "back-off": steps[step].retry_policy.backoff_duration.seconds,
            "time-out": pod.get("activeDeadlineSeconds"),
        }
        yield from (f"{step} has no {part}" for part, there in parts.items() if not there)


def every_step_is_bounded(package: Package) -> Iterator[str]:
    """Each step requests memory and processors, and has a time-out and retries."""
    steps, all_pods = package.steps(), pods(package)
    for step, container in containers(package).items():
        resources = container.get("resources", {})
        parts = {
            "processors": resources.get("resourceCpuRequest"),
            "memory": resources.get("resourceMemoryLimit"),
            "time-out": all_pods[step].get("activeDeadlineSeconds"),
            "retry": steps[step].retry_policy.max_retry_count,
        }
        yield from (f"{step} has no {part}" for part, there in parts.items() if not there)


def no_secret_is_literal(package: Package) -> Iterator[str]:
    """Secrets come by name from Kubernetes, never as text in the file."""
    for step, container in containers(package).items():
        for variable in container.get("env", []):
            if _SECRET_NAME.search(variable["name"]):
                yield f"{step} has {variable['name']} as text"
    for name, parameter in package.pipeline.root.input_definitions.parameters.items():
        names_a_secret = name.endswith("_secret")
        if (
            _SECRET_NAME.search(name)
            and not names_a_secret
            and parameter.default_value.string_value
        ):
            yield f"parameter {name} has a default"
    if found := _SECRET_VALUE.search(package.path.read_text()):
        yield f"{found[0][:8]}… looks like a secret"


def images_have_digests(package: Package) -> Iterator[str]:
    """Each image is named by its content."""
    for step, container in containers(package).items():
        if not re.search(r"@sha256:[0-9a-f]{64}$", container["image"]):
            yield f"{step} runs {container['image']}"


def deploy_is_behind_the_gate(package: Package) -> Iterator[str]:
    """Deploy starts only where the evaluation's answer is yes."""
    gates = [condition for task, condition in _conditions(package) if task == "deploy"]
    if not gates:
        yield "there is no deploy"
    for condition in gates:
        if not re.search(r"evaluate-\w+'\]\s*==\s*true", condition):
            yield f"deploy runs if {condition or 'nothing fails'}"


def everything_is_described(package: Package) -> Iterator[str]:
    """The UI has words for the pipeline, each parameter and each step."""
    if not package.pipeline.pipeline_info.description:
        yield "the pipeline has no description"
    for name, parameter in package.pipeline.root.input_definitions.parameters.items():
        if not parameter.description.strip():
            yield f"parameter {name} has no description"
    for name, step in package.steps().items():
        if step.task_info.name == name:
            yield f"step {name} has no display name"


def what_reads_the_world_is_not_cached(package: Package) -> Iterator[str]:
    """A step whose answer depends on more than its inputs is never answered from the cache."""
    steps = package.steps()
    for name in READS_THE_WORLD:
        if name not in steps:
            yield f"there is no step {name}"
        elif steps[name].caching_options.enable_cache:
            yield f"{name} is cached"


def the_outcome_is_always_posted(package: Package) -> Iterator[str]:
    """The exit handler runs however the run ends, and learns how."""
    notify = package.pipeline.root.dag.tasks["notify"]
    if notify.trigger_policy.strategy != notify.trigger_policy.ALL_UPSTREAM_TASKS_COMPLETED:
        yield "notify does not run after a failure"
    inputs = notify.inputs.parameters.values()
    if not any(value.HasField("task_final_status") for value in inputs):
        yield "notify does not learn the outcome"


Rule = Callable[[Package], Iterator[str]]

EVERYWHERE: tuple[Rule, ...] = (
    no_secret_is_literal,
    deploy_is_behind_the_gate,
    everything_is_described,
    what_reads_the_world_is_not_cached,
    the_outcome_is_always_posted,
)
ON_A_CLUSTER: tuple[Rule, ...] = (gpu_steps_are_whole, every_step_is_bounded)


def _labels(package: Package) -> Iterator[tuple[str, str]]:
    for step, task in package.steps().items():
        yield step, package.pipeline.components[task.component_ref.name].executor_label


def _conditions(package: Package) -> Iterator[tuple[str, str]]:
    """Each step with the conditions of all the groups around it."""

    def walk(component: Any, around: str) -> Iterator[tuple[str, str]]:
        for name, task in component.dag.tasks.items():
            condition = f"{around} {task.trigger_policy.condition}".strip()
            inner = package.pipeline.components[task.component_ref.name]
            yield from walk(inner, condition) if inner.HasField("dag") else [(name, condition)]

    return walk(package.pipeline.root, "")
