"""The handlers of our server behind other HTTP servers: uvicorn by ASGI, Granian by RSGI.

Runs in an environment that has these beside this package. Each `make_` function is a factory that
the other server calls in its one process; `BENCHMARK_BUNDLE` names the folder of the bundle.
"""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from components.serve.app import description, handlers, routes
from components.serve.batching import Batcher
from components.serve.bundle import Bundle
from components.serve.http import Request, Response, response_to
from components.serve.metrics import Metrics
from components.serve.routing import Router
from components.serve.settings import ServeSettings
from components.serve.state import State

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
        response = await answer(Request(scope["method"], scope["path"], query, body, b""))
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
        request = Request(scope.method, scope.path, scope.query_string, body, b"")
        response = await answer(request)
        headers = [("content-type", response.content_type.decode())]
        protocol.response_bytes(response.status, headers, response.body)

    return application


def _answerer() -> Callable[[Request], Awaitable[Response]]:
    """Routes and handles a request, as a connection of our server does."""
    settings = ServeSettings.model_validate({})
    bundle = Bundle.open(Path(os.environ["BENCHMARK_BUNDLE"]))
    metrics = Metrics(1, [path for _, path in handlers(settings)])
    state = State(settings, bundle, metrics, Batcher(metrics), description(settings))
    find = Router(routes(settings, state)).find

    async def answer(request: Request) -> Response:
        try:
            handled = find(request).handle(request)
            return handled if isinstance(handled, Response) else await handled
        except Exception as error:  # becomes an answer, as in our server
            return response_to(error, request)

    return answer
