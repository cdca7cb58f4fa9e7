"""Health, readiness, metrics, and what describes the server and its model."""

import msgspec

from components.images import VERSION
from components.serve.handlers.state import State
from components.serve.protocol.http import HttpError, Request, Response

_encode = msgspec.json.Encoder().encode


class Live(msgspec.Struct):
    """The process answers."""

    live: bool


class Ready(msgspec.Struct):
    """Requests may be sent here."""

    ready: bool


class ModelReady(msgspec.Struct):
    """The model answers."""

    name: str
    ready: bool


class ServerMetadata(msgspec.Struct):
    """What this server is."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(msgspec.Struct):
    """A tensor that the model takes or gives; a length of -1 is any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct):
    """What the model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


def live(_state: State, _request: Request) -> Response:
    """Whether the process answers at all."""
    return Response(_encode(Live(True)))


def ready(state: State, _request: Request) -> Response:
    """Whether to send requests here; not while the server is shutting down."""
    _check_ready(state)
    return Response(_encode(Ready(True)))


def model_ready(state: State, _request: Request) -> Response:
    """Whether the model answers: the status of KServe's V1 protocol, the readiness of V2."""
    _check_ready(state)
    return Response(_encode(ModelReady(state.settings.model_name, True)))


def server(_state: State, _request: Request) -> Response:
    """The server's description in the Open Inference Protocol."""
    return Response(_encode(ServerMetadata("alsolike", VERSION, [])))


def model(state: State, _request: Request) -> Response:
    """The model's description in the Open Inference Protocol."""
    return Response(
        _encode(
            ModelMetadata(
                name=state.settings.model_name,
                versions=[state.bundle.version],
                platform="alsolike",
                inputs=[_column("customer_id", "BYTES"), _column("product_id", "BYTES")],
                outputs=[_column("rating", "FP32"), _column("cold_start", "BYTES")],
            )
        )
    )


async def metrics(state: State, _request: Request) -> Response:
    """The metrics of all workers in the Prometheus text format."""
    await state.turns.take()
    information = {"name": state.settings.model_name, "version": state.bundle.version}
    return Response(
        state.metrics.exposition(information),
        content_type=b"text/plain; version=0.0.4; charset=utf-8",
    )


def openapi(state: State, _request: Request) -> Response:
    """The OpenAPI document."""
    return Response(state.openapi)


def _column(name: str, datatype: str) -> TensorMetadata:
    return TensorMetadata(name, datatype, [-1])


def _check_ready(state: State) -> None:
    if not state.ready:
        raise HttpError(503, "the server is shutting down")
