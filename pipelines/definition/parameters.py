"""The parameters of the pipelines: from the settings of the steps, and as the user gives them."""

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
from components.engine import EngineSettings
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
"""The settings that have the parameters of the training pipeline, by step."""

# In place of a source whose URI is not known yet.
_SOME_SOURCE = "s3://bucket/key"


# The types of Kubeflow's parameters, by those of JSON Schema. A union, such as a number or None, is
# text that is empty for None, because kfp.local needs a value for every parameter.
_TYPES: dict[str, type] = {"integer": int, "number": float, "boolean": bool, "array": list}


@dataclass(frozen=True)
class Declared:
    """A parameter as a pipeline declares it."""

    type: type
    default: Any
    description: str


def declare(settings: type[BaseModel]) -> dict[str, Declared]:
    """The fields of a settings class as parameters; a required one has no default."""
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
    engine = replace(
        declared["engine"],
        description=f"Ingest and prepare: {declare(EngineSettings)['engine'].description}",
    )
    del declared["champion"]  # the destination's current bundle
    return declared | {"seed": seed, "engine": engine}


def with_parameters(
    function: Callable[..., None], description: str, parameters: Mapping[str, Declared]
) -> Callable[..., None]:
    """Set the signature and the docstring of a pipeline's function, which KFP reads.

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
    """Read the source of the ratings and the other parameters of a run on this machine.

    Args:
        source: where the ratings are, if that is not among the parameters.
        given: as `read_parameters` accepts them.

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


def list_parameters(package: Package) -> Iterator[tuple[str, str, str]]:
    """Name, default and description of every parameter, in the order of the steps."""
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
    """Read parameters from a text such as `epochs=10 format=csv`, or from a YAML file.

    Raises:
        UserError: if the text or the file cannot be read.
    """
    if given.endswith((".yaml", ".yml")):
        return _from_file(Path(given))
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise UserError(f"cannot read the parameters {given!r}: {error}") from None
    return dict(parse_assignments(words))


def check_settings(parameters: Mapping[str, Any]) -> None:
    """Validate the parameters of every step, some of which would run hours later.

    Args:
        parameters: of the training pipeline or of one that ends with it; `source` may be empty.

    Raises:
        UserError: if a step would refuse its parameters.
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
        raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(parameters, dict):
        raise UserError(f"{file} must hold parameters by name, such as epochs: 10")
    return parameters
