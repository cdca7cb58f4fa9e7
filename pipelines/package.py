"""A compiled pipeline read back from its YAML: its steps, its parameters, its identity."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import (
    ComponentSpec,
    ParameterType,
    PipelineSpec,
    PipelineTaskSpec,
    PlatformSpec,
)

from components.errors import UserError


@dataclass(frozen=True)
class Package:
    """What a compiled file says."""

    path: Path
    pipeline: PipelineSpec
    platform: PlatformSpec
    digest: str
    """SHA-256 of the file, in hexadecimal."""

    def steps(self) -> dict[str, PipelineTaskSpec]:
        """The tasks that run a container, by name, from every level of the DAG."""
        return dict(self._tasks(self.pipeline.root))

    def images(self) -> set[str]:
        """The images that the steps run in."""
        executors = self.pipeline.deployment_spec["executors"]
        return {executor["container"]["image"] for executor in executors.values()}

    def _tasks(self, component: ComponentSpec) -> Iterable[tuple[str, PipelineTaskSpec]]:
        for name, task in component.dag.tasks.items():
            inner = self.pipeline.components[task.component_ref.name]
            if inner.HasField("dag"):
                yield from self._tasks(inner)
            else:
                yield name, task

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as the pipeline's parameters take them; text is read as their type.

        Raises:
            UserError: if there is no such parameter, the value is not of its type, or one that has
                no default is missing.
        """
        declared = self.pipeline.root.input_definitions.parameters
        for name in values:
            if name not in declared:
                known = ", ".join(sorted(declared))
                near = get_close_matches(name, declared, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise UserError(f"the pipeline has no parameter {name!r}: it has {known}{hint}")
        for name, parameter in declared.items():
            if not parameter.is_optional and name not in values:
                raise UserError(
                    f"parameter {name} has no default: give it, or name it in the "
                    "environment's parameters"
                )
        return {
            name: _typed(name, value, declared[name].parameter_type)
            for name, value in values.items()
        }


def read_package(path: Path) -> Package:
    """Read a compiled pipeline; its second YAML document, if any, is for Kubernetes.

    Raises:
        UserError: if the file is missing, or is no compiled pipeline.
    """
    try:
        content = path.read_bytes()
        pipeline, *platforms = yaml.safe_load_all(content)
        return Package(
            path,
            json_format.ParseDict(pipeline, PipelineSpec()),
            json_format.ParseDict(platforms[0] if platforms else {}, PlatformSpec()),
            hashlib.sha256(content).hexdigest(),
        )
    except FileNotFoundError:
        raise UserError(f"there is no {path}: compile the pipeline first") from None
    except (ValueError, yaml.YAMLError, json_format.ParseError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} is no compiled pipeline ({reason}): compile it again") from None


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """Split `name=value` texts.

    Raises:
        UserError: if one has no name or no equals sign.
    """
    pairs = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise UserError(f"{assignment!r} is no parameter: write name=value")
        pairs[name] = value
    return pairs


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


_READERS: dict[int, tuple[Callable[[str], Any], str]] = {
    ParameterType.NUMBER_INTEGER: (int, "a whole number"),
    ParameterType.NUMBER_DOUBLE: (float, "a number"),
    ParameterType.BOOLEAN: (_truth, "true or false"),
    ParameterType.LIST: (json.loads, "a JSON list"),
    ParameterType.STRUCT: (json.loads, "a JSON object"),
}


def _typed(name: str, value: Any, kind: int) -> Any:
    if kind not in _READERS or not isinstance(value, str):
        return value
    read, expected = _READERS[kind]
    try:
        return read(value)
    except (ValueError, KeyError):
        raise UserError(f"parameter {name}={value}: it takes {expected}") from None
