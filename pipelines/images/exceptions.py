"""Known vulnerabilities that the images keep, with reasons (`images/exceptions.yaml`)."""

from pathlib import Path

import yaml
from pydantic import BaseModel, Field, ValidationError

from components.errors import UserError
from components.step import describe_invalid

FILE = Path(__file__).parents[2] / "images" / "exceptions.yaml"


class KnownFinding(BaseModel, frozen=True, extra="forbid"):
    """A finding of the audit that is accepted, with the reasons."""

    id: str = Field(min_length=1, description="as pip-audit names it, or one of its aliases")
    package: str = Field(min_length=1, description="name of the package")
    unreachable: str = Field(
        min_length=20, description="why the steps never run the vulnerable code"
    )
    isolation: str = Field(min_length=20, description="what limits the damage if they did")


class LinkedLibrary(BaseModel, frozen=True, extra="forbid"):
    """A library linked into MXNet, which an audit of packages cannot find."""

    library: str = Field(min_length=1, description="its name")
    version: str = Field(pattern=r"^\d+(\.\d+)+$", description="its version")
    cpe: str = Field(pattern=r"^[\w.-]+:[\w.-]+$", description="vendor and product in the NVD")
    known: tuple[str, ...] = Field(min_length=1, description="CVE numbers")
    unreachable: str = Field(
        min_length=20, description="why the steps never run the vulnerable code"
    )


class Exceptions(BaseModel, frozen=True, extra="forbid"):
    """All accepted vulnerabilities."""

    findings: tuple[KnownFinding, ...]
    linked_into_mxnet: tuple[LinkedLibrary, ...]


def read_exceptions(file: Path = FILE) -> Exceptions:
    """Read the accepted vulnerabilities.

    Raises:
        UserError: if an entry lacks its reasons.
    """
    try:
        return Exceptions.model_validate(yaml.safe_load(file.read_text()))
    except ValidationError as error:
        raise UserError(f"{file}: {describe_invalid(error)}") from None
