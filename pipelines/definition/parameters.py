"""Pipeline parameters as a person gives them, on a line or in a file, and what steps take."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value
from pydantic import BaseModel, ValidationError

from components.deploy.settings import DeploySettings
from components.errors import UserError
from components.evaluate.settings import EvaluateSettings
from components.ingest.settings import IngestSettings
from components.prepare.settings import PrepareSettings
from components.step import describe_invalid
from components.train.settings import TrainSettings
from components.tune.settings import TuneSettings
from pipelines.definition.package import Package, parse_assignments

SETTINGS: dict[str, type[BaseModel]] = {
    "ingest": IngestSettings,
    "prepare": PrepareSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "deploy": DeploySettings,
}
"""What the parameters of the training pipeline set, by step."""

# In place of ratings that have their URI only later.
_SOME_SOURCE = "s3://bucket/key"


# Types of Kubeflow's parameters by those of JSON Schema. A union, such as a number or
# nothing, is text whose empty value is nothing: kfp.local takes no parameter without a value.
_TYPES: dict[str, type] = {"integer": int, "number": float, "boolean": bool, "array": list}


@dataclass(frozen=True)
class Declared:
    """A parameter as a pipeline declares it."""

    type: type
    default: Any
    description: str


def declare(settings: type[BaseModel]) -> dict[str, Declared]:
    """The fields of a settings class as parameters; one that must be given has no default."""
    return {
        name: _declared(field) for name, field in settings.model_json_schema()["properties"].items()
    }


def _declared(field: Mapping[str, Any]) -> Declared:
    kind = _TYPES.get(field.get("type", ""), str)
    default = Parameter.empty
    if "default" in field:
        default = kind() if field["default"] is None else kind(field["default"])
    return Declared(kind, default, field["description"])


def training_parameters() -> dict[str, Declared]:
    """The parameters of the training pipeline.

    Kubeflow sorts the parameters by name, so each description says which step it belongs to.
    """
    declared = {
        name: replace(parameter, description=f"{step.capitalize()}: {parameter.description}")
        for step, settings in SETTINGS.items()
        for name, parameter in declare(settings).items()
    }
    seed = replace(declared["seed"], description="All steps: seed of everything that is random.")
    del declared["champion"]  # the destination's current bundle
    return declared | {"seed": seed}


def with_parameters(
    function: Callable[..., None], description: str, parameters: Mapping[str, Declared]
) -> Callable[..., None]:
    """Give a pipeline's function the signature and the docstring that KFP reads.

    Args:
        function: takes the parameters by position.
        description: what the pipeline does.
        parameters: by name, in the order of the positions.
    """
    function.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(
                name, Parameter.POSITIONAL_OR_KEYWORD, default=known.default, annotation=known.type
            )
            for name, known in parameters.items()
        ]
    )
    arguments = "\n".join(f"    {name}: {known.description}" for name, known in parameters.items())
    function.__doc__ = f"{description}\n\nArgs:\n{arguments}\n"
    return function


def read_given(source: str | None, given: str) -> tuple[str | None, dict[str, Any]]:
    """Where the ratings are, and the other parameters, as a run on this machine is given them.

    Raises:
        UserError: if the parameters cannot be read, or name another source.
    """
    parameters = read_parameters(given)
    if source and "source" in parameters:
        raise UserError(
            f"the source is given twice, as {source} and among the parameters as "
            f"{parameters['source']}: leave one out"
        )
    return source or parameters.pop("source", "") or None, parameters


def describe(package: Package) -> Iterator[tuple[str, str, str]]:
    """Name, default as it would be given, and description of every parameter, by step."""
    declared = package.pipeline.root.input_definitions.parameters
    every: tuple[type[BaseModel], ...] = (TuneSettings, *SETTINGS.values())
    by_step = [name for settings in every for name in settings.model_fields]
    for name in sorted(declared, key=by_step.index):
        yield name, _as_given(declared[name].default_value), declared[name].description


def _as_given(value: Value) -> str:
    kind = value.WhichOneof("kind")
    if kind is None:
        return ""
    if kind == "string_value":
        return value.string_value
    return f"{value.number_value:g}" if kind == "number_value" else json_format.MessageToJson(value)


def read_parameters(given: str) -> dict[str, Any]:
    """Parameters by name, from `epochs=10 format=csv` or the path of a YAML file.

    Raises:
        UserError: if neither can be made of it.
    """
    if given.endswith((".yaml", ".yml")):
        return _from_file(Path(given))
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise UserError(f"cannot read the parameters {given!r}: {error}") from None
    return dict(parse_assignments(words))


def check_settings(parameters: Mapping[str, Any]) -> None:
    """Look at the values as each step will when its turn comes, which may be hours later.

    Args:
        parameters: of the training pipeline or of one that ends with it; `source` may be empty.

    Raises:
        UserError: if a step would refuse its own.
    """
    given = dict(parameters)
    given["source"] = given.get("source") or _SOME_SOURCE
    for step, settings in SETTINGS.items():
        own = {name: given[name] for name in settings.model_fields if name in given}
        try:
            settings.model_validate(own)
        except ValidationError as error:
            raise UserError(f"{step}: {describe_invalid(error)}") from None


def _from_file(file: Path) -> dict[str, Any]:
    try:
        parameters = yaml.safe_load(file.read_text())
    except OSError as error:
        raise UserError(f"cannot read the parameters from {file}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(parameters, dict):
        raise UserError(f"{file} must hold parameters by name, such as epochs: 10")
    return parameters
