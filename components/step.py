"""The edge of every step: a log that a pod shows, and one line for a user's mistake."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from components.errors import UserError


@contextmanager
def step(name: str) -> Iterator[None]:
    """Run a step's body as a program: log to stderr, end on a `UserError` with one line.

    Raises:
        SystemExit: with the line, in place of a `UserError` or a setting that does not validate.
    """
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s {name}: %(message)s",
        datefmt="%H:%M:%S",
        force=True,  # the KFP executor has set a format of its own
    )
    logging.getLogger("botocore").setLevel(logging.WARNING)  # tells where it found credentials
    try:
        yield
    except UserError as error:
        sys.exit(f"error: {name}: {error}")
    except ValidationError as error:
        sys.exit(f"error: {name}: {describe_invalid(error)}")


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
