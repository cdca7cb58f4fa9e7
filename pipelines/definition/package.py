"""Read a compiled pipeline: its steps, its parameters, its digest."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

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

SHIPPED = Path(__file__).parents[1] / "training.yaml"
"""The compiled training pipeline without platform settings."""


@dataclass(frozen=True)
class Package:
    """The content of a compiled pipeline."""

    path: Path
    pipeline: PipelineSpec
    platform: PlatformSpec
    digest: str
    """SHA-256 of the file, in hexadecimal."""

    def steps(self) -> dict[str, PipelineTaskSpec]:
        """The tasks that run containers, by name, from all levels of the DAG, in its order."""
        return dict(self._tasks(self.pipeline.root))

    def images(self) -> set[str]:
        """The images that the steps run in."""
        executors = self.pipeline.deployment_spec["executors"]
        return {executor["container"]["image"] for executor in executors.values()}

    def _tasks(self, component: ComponentSpec) -> Iterable[tuple[str, PipelineTaskSpec]]:
        tasks = component.dag.tasks
        upstream = {name: sorted(tasks[name].dependent_tasks) for name in sorted(tasks)}
        for name in TopologicalSorter(upstream).static_order():
            task = tasks[name]
            inner = self.pipeline.components[task.component_ref.name]
            if inner.HasField("dag"):
                yield from self._tasks(inner)
            else:
                yield name, task

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Convert values to the types of the pipeline's parameters.

        Raises:
            UserError: if there is no such parameter, a value does not have its type, or a
                parameter without a default is missing.
        """
        declared = self.pipeline.root.input_definitions.parameters
        for name in values:
            if name not in declared:
                raise unknown_parameter("the pipeline", name, declared)
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
    """Read a compiled pipeline, whose optional second YAML document is for Kubernetes.

    Raises:
        UserError: if the file is missing, or is not a compiled pipeline.
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
        raise UserError(f"{path} is not a compiled pipeline ({reason}): compile it again") from None


def unknown_parameter(owner: str, name: str, known: Iterable[str]) -> UserError:
    """The error for an unknown name, with the known names and the most similar ones.

    Args:
        owner: what has the parameters, for the message.
        name: the unknown name.
        known: the known names.
    """
    names = sorted(known)
    near = get_close_matches(name, names)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return UserError(f"{owner} has no parameter {name!r}: it has {', '.join(names)}{hint}")


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """Split `name=value` texts.

    Raises:
        UserError: if one has no name or no equals sign, or a name is given twice.
    """
    pairs: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise UserError(
                f"{assignment!r} is not a parameter: write name=value, without spaces around ="
            )
        if name in pairs:
            raise UserError(f"parameter {name} is given twice, as {pairs[name]!r} and as {value!r}")
        pairs[name] = value
    return pairs


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


class _Kind(NamedTuple):
    """How to read the text of a parameter, and the types of a value that is not text."""

    read: Callable[[str], Any]
    types: tuple[type, ...]
    name: str


_TEXT = _Kind(str, (), "text")
_KINDS: dict[int, _Kind] = {
    ParameterType.NUMBER_INTEGER: _Kind(int, (int,), "a whole number"),
    ParameterType.NUMBER_DOUBLE: _Kind(float, (float, int), "a number"),
    ParameterType.BOOLEAN: _Kind(_truth, (bool,), "true or false"),
    ParameterType.LIST: _Kind(yaml.safe_load, (list,), "a list, such as [a, b]"),
    ParameterType.STRUCT: _Kind(json.loads, (dict,), "a JSON object"),
}


def _typed(name: str, value: Any, number: int) -> Any:
    kind = _KINDS.get(number, _TEXT)
    # YAML reads text that looks like a date or a number, such as the name of a column, as one.
    if isinstance(value, date):
        value = value.isoformat()
    elif kind is _TEXT and type(value) in (int, float):
        value = str(value)
    if isinstance(value, str):
        with suppress(ValueError, KeyError, yaml.YAMLError):
            value = kind.read(value)
            if kind is _TEXT or type(value) in kind.types:
                return value
    elif type(value) in kind.types:
        return value
    raise UserError(f"parameter {name}={value}: it takes {kind.name}")
