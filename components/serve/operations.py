"""Health, readiness, descriptions of the model, and metrics."""

from typing import Any

import msgspec

from components.images import VERSION
from components.serve.http import HttpError, Request, Response
from components.serve.state import State

_encode = msgspec.json.Encoder().encode


def live(_state: State, _request: Request) -> Response:
    """Whether the process answers at all."""
    return Response(b'{"live":true}')


def ready(state: State, _request: Request) -> Response:
    """Whether to send requests here; not while the server is about to end."""
    _check_ready(state)
    return Response(b'{"ready":true}')


def status_v1(state: State, _request: Request) -> Response:
    """The model's status in the KServe V1 protocol."""
    _check_ready(state)
    return Response(_encode({"name": state.settings.model_name, "ready": True}))


def model_ready_v2(state: State, _request: Request) -> Response:
    """The model's readiness in the Open Inference Protocol."""
    _check_ready(state)
    return Response(_encode({"name": state.settings.model_name, "ready": True}))


def server_v2(_state: State, _request: Request) -> Response:
    """The server's description in the Open Inference Protocol."""
    return Response(_encode({"name": "alsolike", "version": VERSION, "extensions": []}))


def model_v2(state: State, _request: Request) -> Response:
    """The model's description in the Open Inference Protocol."""
    return Response(
        _encode(
            {
                "name": state.settings.model_name,
                "versions": [state.bundle.version],
                "platform": "alsolike",
                "inputs": [_tensor("customer_id", "BYTES"), _tensor("product_id", "BYTES")],
                "outputs": [_tensor("rating", "FP32"), _tensor("reason", "BYTES")],
            }
        )
    )


def metrics(state: State, _request: Request) -> Response:
    """The metrics of all workers in the Prometheus text format."""
    information = {"name": state.settings.model_name, "version": state.bundle.version}
    return Response(
        state.metrics.exposition(information),
        content_type=b"text/plain; version=0.0.4; charset=utf-8",
    )


def _tensor(name: str, datatype: str) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1]}


def _check_ready(state: State) -> None:
    if not state.ready:
        raise HttpError(503, "the server is about to end")
