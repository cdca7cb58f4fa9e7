"""The messages of HTTP: requests, answers, errors, and the routes that lead to them."""

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any

import msgspec

JSON = b"application/json"

logger = logging.getLogger(__name__)


class Problem(msgspec.Struct):
    """What went wrong, in words."""

    error: str


class HttpError(Exception):
    """A request that gets an error for an answer; the reason is shown to the client."""

    def __init__(self, status: int, reason: str, headers: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


class Request:
    """One request.

    Attributes:
        method, path, query: as sent, still percent-encoded.
        argument: what stands in the path at the place of the route's parameter, decoded.
        body: the whole body.
        id: the client's `x-request-id`, or one of our own.
    """

    __slots__ = ("argument", "body", "id", "method", "path", "query", "started")

    def __init__(self, method: str, path: str, query: str, body: bytes, request_id: bytes) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.body = body
        self.id = request_id
        self.argument = ""
        self.started = perf_counter()


class Response:
    """One answer: `headers` are whole lines, each with its line end."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self, body: bytes, status: int = 200, content_type: bytes = JSON, headers: bytes = b""
    ) -> None:
        self.body = body
        self.status = status
        self.content_type = content_type
        self.headers = headers


Handled = Response | Coroutine[Any, Any, Response]
"""An answer, or the work that will lead to one."""


@dataclass(frozen=True)
class Route:
    """What answers one method and path.

    Attributes:
        method: GET or POST; HEAD is answered as GET.
        path: fixed, or with one parameter in braces that takes the rest of the path.
        handle: answers at once, or later where other requests are worth waiting for.
    """

    method: str
    path: str
    handle: Callable[[Request], Handled]


def response_to(error: Exception, request: Request) -> Response:
    """What a client sees of an error: its own mistakes in words, never ours in detail."""
    if isinstance(error, HttpError):
        return Response(
            msgspec.json.encode(Problem(str(error))), error.status, headers=error.headers
        )
    logger.error("request %s failed", request.id.decode("latin-1"), exc_info=error)
    return Response(b'{"error":"internal error"}', 500)


def message(request: Request, response: Response, common: bytes, keep: bool) -> bytes:
    """The bytes of an answer."""
    return b"%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b%b%b\r\n%b" % (
        _STATUS_LINES[response.status],
        response.content_type,
        len(response.body),
        request.id,
        common,
        response.headers,
        b"" if keep else b"connection: close\r\n",
        b"" if request.method == "HEAD" else response.body,
    )


_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
