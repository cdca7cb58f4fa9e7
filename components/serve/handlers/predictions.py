"""Star predictions, in the protocols of KServe, Vertex AI and SageMaker."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from components.serve.handlers.payloads import Id, read_json
from components.serve.handlers.state import State
from components.serve.protocol.http import HttpError, Request, Response


class Pair(msgspec.Struct):
    """A customer and a product, whose rating is asked for."""

    customer_id: Id
    product_id: Id


class PredictRequest(msgspec.Struct):
    """Pairs as `instances`, or as two columns of the same length."""

    instances: list[Pair] | UnsetType = UNSET
    customer_id: list[Id] | UnsetType = UNSET
    product_id: list[Id] | UnsetType = UNSET


class PredictResponse(msgspec.Struct, omit_defaults=True):
    """Stars for each pair; if any id is unknown, also what is unknown of each pair, or null.

    An unknown customer counts as the mean of all customers, an unknown product likewise.
    """

    predictions: list[float]
    cold_starts: list[str | None] | None = None


_TYPES = {"BYTES": str, "INT32": int, "INT64": int, "UINT32": int, "UINT64": int}
# A Literal would not name the valid values in its error message.
IdType = Annotated[str, Meta(extra_json_schema={"enum": list(_TYPES)})]
# The product of a million dimensions would take minutes.
Shape = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=8)]


class InputTensor(msgspec.Struct):
    """A tensor of ids: strings in BYTES, or integers; the data may be nested."""

    name: str
    shape: Shape
    datatype: IdType
    data: list[Any]


class RequestedOutput(msgspec.Struct):
    """A tensor that the client asks for."""

    name: str


class InferRequest(msgspec.Struct):
    """An inference request of the Open Inference Protocol."""

    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[RequestedOutput] | None = None


class OutputTensor(msgspec.Struct):
    """A tensor of an answer."""

    name: str
    shape: list[int]
    datatype: str
    data: Sequence[float | str]


class InferResponse(msgspec.Struct, omit_defaults=True):
    """An answer of the Open Inference Protocol."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | None = None


_predict_request = msgspec.json.Decoder(PredictRequest)
_infer_request = msgspec.json.Decoder(InferRequest)
_encode = msgspec.json.Encoder().encode
# SageMaker takes no longer value of this header.
_ATTRIBUTES_LENGTH = 1024


def predict_v1(state: State, request: Request) -> Response:
    """Stars for pairs in the KServe V1 protocol, which is also that of Vertex AI."""
    columns = _columns(read_json(request.body, _predict_request))
    return Response(_encode(_predict(state, *columns)))


def invocations(state: State, request: Request) -> Response:
    """Stars for pairs in SageMaker's protocol; the answer to columns is a bare list.

    A bare list has no room for cold starts. They go in the header that SageMaker passes on.
    """
    body = read_json(request.body, _predict_request)
    answer = _predict(state, *_columns(body))
    if body.instances is not UNSET:
        return Response(_encode(answer))
    headers = b""
    if answer.cold_starts is not None:
        found = "; ".join(f"{i}: {what}" for i, what in enumerate(answer.cold_starts) if what)
        value = f"cold starts: {found}"[:_ATTRIBUTES_LENGTH]
        headers = f"x-amzn-sagemaker-custom-attributes: {value}\r\n".encode()
    return Response(_encode(answer.predictions), headers=headers)


def infer_v2(state: State, request: Request) -> Response:
    """Stars for pairs in the Open Inference Protocol, version 2, in JSON."""
    body = read_json(request.body, _infer_request)
    tensors = {tensor.name: tensor for tensor in body.inputs}
    if set(tensors) != {"customer_id", "product_id"}:
        raise HttpError(422, "the inputs must be customer_id and product_id")
    customers, products = (_strings(tensors[name]) for name in ("customer_id", "product_id"))
    answer = _predict(state, customers, products)
    shape = tensors["customer_id"].shape
    cold_starts = answer.cold_starts or [None] * len(customers)
    outputs = [
        OutputTensor("rating", shape, "FP32", answer.predictions),
        OutputTensor("cold_start", shape, "BYTES", [unknown or "" for unknown in cold_starts]),
    ]
    requested = _requested(body.outputs)
    return Response(
        _encode(
            InferResponse(
                model_name=state.settings.model_name,
                model_version=state.bundle.version,
                outputs=[output for output in outputs if output.name in requested],
                id=body.id,
            )
        )
    )


def _columns(body: PredictRequest) -> tuple[list[str], list[str]]:
    """The customers and the products of the pairs."""
    if body.instances is not UNSET:
        if body.customer_id is not UNSET or body.product_id is not UNSET:
            raise HttpError(422, "send either instances or the two columns")
        return (
            [str(pair.customer_id) for pair in body.instances],
            [str(pair.product_id) for pair in body.instances],
        )
    if body.customer_id is UNSET or body.product_id is UNSET:
        raise HttpError(422, "send instances, or the columns customer_id and product_id")
    return list(map(str, body.customer_id)), list(map(str, body.product_id))


def _strings(tensor: InputTensor) -> list[str]:
    """The ids of a tensor, flattened."""
    kind = _TYPES.get(tensor.datatype)
    if kind is None:
        raise HttpError(422, f"input {tensor.name} must be of datatype {' or '.join(_TYPES)}")
    flat = tensor.data
    while flat and isinstance(flat[0], list):
        if not all(isinstance(row, list) for row in flat):
            raise HttpError(422, f"input {tensor.name} has rows of different depth")
        flat = [value for row in flat for value in row]
    if set(map(type, flat)) - {kind}:
        expected = "strings" if kind is str else "integers"
        raise HttpError(
            422, f"input {tensor.name} must hold {expected}, as its datatype {tensor.datatype} says"
        )
    if math.prod(tensor.shape) != len(flat):
        raise HttpError(422, f"input {tensor.name} has {len(flat)} values, not {tensor.shape}")
    return flat if kind is str else list(map(str, flat))


def _requested(outputs: Sequence[RequestedOutput] | None) -> set[str]:
    """The names of the outputs that the client asks for; all of them if it names none."""
    known = {"rating", "cold_start"}
    if not outputs:
        return known
    names = {output.name for output in outputs}
    if names - known:
        raise HttpError(422, f"there is no output {', '.join(sorted(names - known))}")
    return names


def _predict(state: State, customers: list[str], products: list[str]) -> PredictResponse:
    """Stars for pairs of ids, in their order."""
    if len(customers) != len(products):
        raise HttpError(
            422, f"{len(customers)} customers cannot be paired with {len(products)} products"
        )
    bundle = state.bundle
    if (scorer := bundle.scorer) is None:
        raise HttpError(404, "this model was trained to rank, not to predict ratings")
    users, items = (
        list(map(table.get, ids))
        for table, ids in ((bundle.customers, customers), (bundle.items, products))
    )
    pairs = list(zip(users, items, strict=True))
    predictions = [
        scorer.cold_start_stars(user, item)
        if user is None or item is None
        else scorer.stars(user, item)
        for user, item in pairs
    ]
    if None not in users and None not in items:
        return PredictResponse(predictions)
    cold_starts = [_unknown(user, item) for user, item in pairs]
    state.metrics.add("cold_start_pairs", len(pairs) - cold_starts.count(None))
    return PredictResponse(predictions, cold_starts)


def _unknown(user: int | None, item: int | None) -> str | None:
    """What is unknown of a pair, or None."""
    if user is None:
        return "unknown customer" if item is not None else "unknown customer and product"
    return "unknown product" if item is None else None
