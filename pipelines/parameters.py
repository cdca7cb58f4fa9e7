"""Pipeline parameters as a person gives them: on a line, or in a file."""

import shlex
from pathlib import Path
from typing import Any

import yaml

from components.errors import UserError
from pipelines.package import parse_assignments


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
