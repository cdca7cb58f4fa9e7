"""Run a step as a program: a log on stderr, and one line for an error of the user."""

import errno
import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_type_hints

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from components.errors import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}


@contextmanager
def step(name: str) -> Iterator[None]:
    """Run the body as a step: log to stderr, and end with one line on a `UserError`.

    Raises:
        SystemExit: as `mistakes_in_one_line` does.
    """
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s {name}: %(message)s",
        datefmt="%H:%M:%S",
        force=True,  # KFP's executor has set another format
    )
    logging.getLogger("botocore").setLevel(logging.WARNING)  # it logs where it found credentials
    with mistakes_in_one_line(f"error: {name}"):
        yield


def run_component(function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Run a function of a `component.py` as a step, with the arguments that Kubeflow passes.

    Args:
        function: the function; its argument `settings`, if it has one, is built from the values
            of the fields.
        given: artifacts and values of parameters, by name.

    Raises:
        SystemExit: as `step` does.
    """
    settings = get_type_hints(function).get("settings")
    fields = settings.model_fields if settings else ()
    rest = {name: value for name, value in given.items() if name not in fields}
    with step(function.__name__):
        if settings:
            rest["settings"] = settings.model_validate({name: given[name] for name in fields})
        return function(**rest)


@contextmanager
def mistakes_in_one_line(prefix: str) -> Iterator[None]:
    """End the program with one line on an error that the user can correct.

    Args:
        prefix: the beginning of the line.

    Raises:
        SystemExit: with the line, in place of a `UserError`, of a setting that does not validate,
            and of a file that cannot be written because of the disk or its permissions.
    """
    try:
        yield
    except UserError as error:
        sys.exit(f"{prefix}: {error}")
    except ValidationError as error:
        sys.exit(f"{prefix}: {describe_invalid(error)}")
    except OSError as error:
        if not (refusal := _refusal(error)):
            raise
        sys.exit(f"{prefix}: {refusal}")


def _refusal(error: OSError) -> str:
    """Say how the disk or its permissions refuse a file; empty if the error has another cause."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        # From a copy of a folder: source, target and reason of each file that failed.
        _, target, reason = error.args[0][0]
        return f"{target} cannot be written: {reason}"
    path = error.filename2 or error.filename
    place = f"{path}: " if path else ""
    if error.errno in _FULL:
        return f"{place}{error.strerror}: make room, or choose another place"
    if error.errno in _CLOSED and path:
        return f"{place}{error.strerror}: choose another place"
    return ""


def describe_invalid(error: ValidationError) -> str:
    """Name in one line the settings that do not validate, the values given and those expected."""
    return "; ".join(map(_describe_problem, error.errors()))


def _describe_problem(problem: ErrorDetails) -> str:
    where = ".".join(map(str, problem["loc"]))
    expected = problem["msg"].removeprefix("Value error, ")
    if not where:
        return expected
    # A mapping is not shown: the problem is a missing value, or several values together.
    given = "" if isinstance(problem["input"], Mapping) else f"={problem['input']!r}"
    return f"{where}{given}: {expected}"
