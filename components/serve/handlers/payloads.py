"""Reads JSON bodies and queries, and says what is wrong with them."""

from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from components.serve.protocol.http import HttpError

Shape = TypeVar("Shape")
Id = str | int
"""An id in a body; clients often send numeric ids as numbers."""

# A longer body takes milliseconds to read, so that it waits for a turn.
SHORT_BODY = 16 * 1024
# Each value of a list is a field, and a query may have two lists of 1,000.
_MAX_FIELDS = 2100


def read_json(body: bytes, decoder: "msgspec.json.Decoder[Shape]") -> Shape:
    """The value of a JSON body, of the type that the decoder is for.

    Raises:
        HttpError: 400 if it is not JSON, 422 if it is JSON of another type, or nested too deeply.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise HttpError(422, f"the body has the wrong shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = f"the body is not JSON, and application/json is the only type taken: {error}"
        raise HttpError(400, reason) from None
    except RecursionError:
        raise HttpError(422, "the body is nested too deeply") from None


def read_query(query: str, shape: type[Shape]) -> Shape:
    """The parameters of a query; the name of a list may be repeated.

    Raises:
        HttpError: 422 if a parameter is unknown, repeated or of the wrong type.
    """
    if not query:
        return shape()
    try:
        found = parse_qs(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
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
