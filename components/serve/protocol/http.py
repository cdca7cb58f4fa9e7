"""Requests, responses, errors, and the routes between them."""

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any

import msgspec

JSON = b"application/json"
NO_ROUTE = "none"

logger = logging.getLogger(__name__)


class Problem(msgspec.Struct):
    """What went wrong, in words."""

    error: str


class HttpError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, reason: str, headers: bytes = b"") -> None:
        """Describe the error.

        Args:
            status: the status of the answer; one that HTTP does not define is a `ValueError`.
            reason: what the client is told.
            headers: further header lines, each with its line end.
        """
        super().__init__(reason)
        self.status = HTTPStatus(status)
        self.headers = headers


class Request(msgspec.Struct, gc=False):
    """One request.

    Attributes:
        method: such as `GET`.
        path: as sent, still percent-encoded.
        query: as sent, still percent-encoded; empty if there is none.
        body: the whole body.
        id: the client's `x-request-id`, or one that the server made.
        keep_alive: whether the connection stays open after the answer.
        route: the path of the route that answers, or `NO_ROUTE`.
        argument: the value of the route's path parameter, decoded.
        started: when the request was complete, in seconds of `perf_counter`.
    """

    method: str
    path: str
    query: str
    body: bytes
    id: bytes
    keep_alive: bool
    route: str = NO_ROUTE
    argument: str = ""
    started: float = msgspec.field(default_factory=perf_counter)


class Response(msgspec.Struct, gc=False):
    """One answer.

    Attributes:
        body: the whole body.
        status: an `HTTPStatus`.
        content_type: the media type of the body.
        headers: further header lines, each with its line end.
    """

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: bytes = JSON
    headers: bytes = b""


Answer = Response | Coroutine[Any, Any, Response]
"""An answer, or the computation of one."""


@dataclass(frozen=True)
class Route:
    """What answers one method and path.

    Attributes:
        method: GET or POST; HEAD is answered as GET.
        path: fixed, or with one parameter in braces, which takes the rest of the path.
        handle: answers a request.
    """

    method: str
    path: str
    handle: Callable[[Request], Answer]


def error_response(error: Exception, request: Request) -> Response:
    """The answer after an error: the reason of an `HttpError`, no details of any other.

    Any other error is logged.
    """
    if isinstance(error, HttpError):
        body = msgspec.json.encode(Problem(str(error)))
        return Response(body, error.status, headers=error.headers)
    logger.error("request %s failed", request.id.decode("latin-1"), exc_info=error)
    return Response(b'{"error":"internal error"}', HTTPStatus.INTERNAL_SERVER_ERROR)


def encode_response(request: Request, response: Response, headers: bytes) -> bytes:
    """The bytes of an answer.

    Args:
        request: what is answered; the answer to HEAD has no body.
        response: the answer.
        headers: header lines that every answer has, each with its line end.
    """
    return b"%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b%b%b\r\n%b" % (
        _STATUS_LINES[response.status],
        response.content_type,
        len(response.body),
        request.id,
        headers,
        response.headers,
        b"" if request.keep_alive else b"connection: close\r\n",
        b"" if request.method == "HEAD" else response.body,
    )


# A list by number: the hash of an enumeration's member is computed in Python.
_STATUS_LINES = [b""] * (max(HTTPStatus) + 1)
for _status in HTTPStatus:
    _STATUS_LINES[_status] = f"HTTP/1.1 {_status.value} {_status.phrase}\r\n".encode()
