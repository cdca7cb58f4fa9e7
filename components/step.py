"""The edge of every step: a log that a pod shows, and one line for a user's mistake."""

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
    """Run a step's body as a program: log to stderr, end on a `UserError` with one line.

    Raises:
        SystemExit: with the line, as `mistakes_in_one_line` does.
    """
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s {name}: %(message)s",
        datefmt="%H:%M:%S",
        force=True,  # the KFP executor has set a format of its own
    )
    logging.getLogger("botocore").setLevel(logging.WARNING)  # tells where it found credentials
    with mistakes_in_one_line(f"error: {name}"):
        yield


def run_component(function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Run a function of a `component.py` as a step, with what Kubeflow hands over.

    Args:
        function: what to run; its `settings`, if it takes any, are made of the values of their
            fields.
        given: by name, the artifacts and the values of the parameters.

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
    """End the program with one line where its user, and nobody else, can mend what went wrong.

    Raises:
        SystemExit: with the line, in place of a `UserError`, a setting that does not validate, or
            a file that the disk or its permissions refuse.
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
    """How the disk or its permissions refuse a file, and what to do; empty where they do not."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        # Of a folder that was copied: source, target and reason for each file that was not.
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
    """Say in one line which settings do not validate, what was given and what is expected."""
    return "; ".join(map(_describe_problem, error.errors()))


def _describe_problem(problem: ErrorDetails) -> str:
    where = ".".join(map(str, problem["loc"]))
    expected = problem["msg"].removeprefix("Value error, ")
    if not where:
        return expected
    # Of what is wrong with many values together, or missing among them, no value tells more.
    given = "" if isinstance(problem["input"], Mapping) else f"={problem['input']!r}"
    return f"{where}{given}: {expected}"
