"""Reading what clients send: JSON bodies and queries, with a reason for what is wrong."""

from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from components.serve.http import HttpError

Shape = TypeVar("Shape")
Id = str | int
"""An id in a body; sources with numeric ids are often sent as numbers."""

# Each value of a list is one, and a request may have two lists of 1,000.
_MOST_FIELDS = 2100


def read_json(body: bytes, decoder: "msgspec.json.Decoder[Shape]") -> Shape:
    """A body of the shape that a decoder was made for.

    Raises:
        HttpError: 400 if it is not JSON, 422 if it is JSON of another shape or too deep.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise HttpError(422, f"the body has the wrong shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HttpError(400, f"the body is not JSON: {error}") from None
    except RecursionError:
        raise HttpError(422, "the body is nested too deeply") from None


def read_query(query: str, shape: type[Shape]) -> Shape:
    """A query's parameters; one that holds a list may be repeated.

    Raises:
        HttpError: 422 if a parameter is unknown, repeated or of the wrong kind.
    """
    if not query:
        return shape()
    try:
        found = parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        values = {name: _value(name, given, shape) for name, given in found.items()}
        return msgspec.convert(values, shape, strict=False)
    except ValueError as error:
        raise HttpError(422, f"the query is wrong: {error}") from None


def _value(name: str, given: list[str], shape: type[Any]) -> str | list[str]:
    if isinstance(getattr(shape(), name, None), list):
        return given
    if len(given) > 1:
        raise ValueError(f"{name} is given {len(given)} times")
    return given[0]
