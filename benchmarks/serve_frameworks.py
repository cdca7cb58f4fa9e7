"""The handlers of our server behind other HTTP servers: uvicorn by ASGI, Granian by RSGI.

Runs in an environment that has these beside this package. Each `make_` function is a factory that
the other server calls in its one process; `BENCHMARK_BUNDLE` names the folder of the bundle.
"""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from components.serve.handlers.openapi import document
from components.serve.handlers.routes import operations_by_route, routes
from components.serve.handlers.state import State
from components.serve.inference.batching import TopNBatcher
from components.serve.inference.bundle import Bundle
from components.serve.metrics import Metrics
from components.serve.protocol.http import Request, Response, error_response
from components.serve.protocol.routing import Router
from components.serve.settings import ServeSettings

Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
Rsgi = Callable[[Any, Any], Awaitable[None]]


def make_asgi() -> Asgi:
    """The application as uvicorn calls it."""
    answer = _answerer()

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        query = scope["query_string"].decode("latin-1")
        response = await answer(_request(scope["method"], scope["path"], query, body))
        headers = [
            (b"content-type", response.content_type),
            (b"content-length", b"%d" % len(response.body)),
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    return application


def make_rsgi() -> Rsgi:
    """The application as Granian calls it."""
    answer = _answerer()

    async def application(scope: Any, protocol: Any) -> None:
        body = await protocol() if scope.method == "POST" else b""
        response = await answer(_request(scope.method, scope.path, scope.query_string, body))
        headers = [("content-type", response.content_type.decode())]
        protocol.response_bytes(response.status, headers, response.body)

    return application


def _request(method: str, path: str, query: str, body: bytes) -> Request:
    """A request, of which the other server keeps the connection."""
    return Request(method, path, query, body, id=b"", keep_alive=True)


def _answerer() -> Callable[[Request], Awaitable[Response]]:
    """Routes and handles a request, as a connection of our server does."""
    settings = ServeSettings.model_validate({})
    bundle = Bundle.open(Path(os.environ["BENCHMARK_BUNDLE"]))
    metrics = Metrics(1, [path for _, path in operations_by_route(settings)])
    openapi = msgspec.json.encode(document(settings))
    state = State(settings, bundle, metrics, TopNBatcher(metrics), openapi)
    find = Router(routes(state)).find

    async def answer(request: Request) -> Response:
        try:
            handled = find(request).handle(request)
            return handled if isinstance(handled, Response) else await handled
        except Exception as error:  # becomes an answer, as in our server
            return error_response(error, request)

    return answer
