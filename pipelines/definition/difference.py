"""The difference between two compiled pipelines, in lines for a reviewer."""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import ParameterType, PipelineTaskSpec

from pipelines.definition.package import Package, read_package

# Fields that kfp writes a second time under an older name.
_OLDER = {"cpuRequest", "memoryRequest", "memoryLimit", "count", "type", "secretNameParameter"}


def difference(before: Package, after: Package) -> str:
    """The unified diff of the outlines of two pipelines; empty if they are equal."""
    lines = difflib.unified_diff(
        list(outline(before)), list(outline(after)), "before", "after", lineterm="", n=1
    )
    return "\n".join(lines)


def diff(
    before: Annotated[Path, typer.Argument(help="A compiled pipeline.")],
    after: Annotated[Path, typer.Argument(help="Another one.")],
) -> None:
    """Show what changed between two compiled pipelines, without the code of the steps."""
    typer.echo(difference(read_package(before), read_package(after)) or "The DAG is the same.")


def outline(package: Package) -> Iterator[str]:
    """The parameters and steps of a pipeline, one fact in each line, without the steps' code."""
    for name, parameter in sorted(package.pipeline.root.input_definitions.parameters.items()):
        kind = ParameterType.ParameterTypeEnum.Name(parameter.parameter_type).lower()
        default = json.dumps(json_format.MessageToDict(parameter.default_value))
        yield f"parameter {name}: {kind} = {default}"
    executors = _executors(package.pipeline.deployment_spec)
    platforms = json_format.MessageToDict(package.platform).get("platforms", {})
    pods = platforms.get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    for name, task in sorted(package.steps().items()):
        label = package.pipeline.components[task.component_ref.name].executor_label
        container = executors[label]["container"]
        facts = {
            **_facts(task),
            "image": container["image"],
            "resources": container.get("resources"),
            "env": container.get("env"),
            "pod": pods.get(label),
        }
        yield from (f"step {name}: {line}" for line in _lines(facts))


def _executors(deployment_spec: Any) -> dict[str, Any]:
    executors: dict[str, Any] = json_format.MessageToDict(deployment_spec)["executors"]
    return executors


def _facts(task: PipelineTaskSpec) -> dict[str, Any]:
    said: dict[str, Any] = json_format.MessageToDict(task)
    return {
        "shown as": task.task_info.name,
        "after": sorted(task.dependent_tasks),
        "cached": task.caching_options.enable_cache,
        "inputs": said.get("inputs"),
        "retries": said.get("retryPolicy"),
        "only if": said.get("triggerPolicy"),
    }


def _lines(value: Any, path: str = "") -> Iterator[str]:
    """Each leaf of a nested value with its path."""
    if isinstance(value, dict):
        for key, inner in sorted(value.items()):
            if key not in _OLDER:
                yield from _lines(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _lines(item, f"{path}[{number}]")
    elif value not in (None, []):
        yield f"{path} = {json.dumps(value)}"
