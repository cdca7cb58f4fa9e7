"""Star predictions, in the protocols of KServe, Vertex AI and SageMaker."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from components.serve.handlers.payloads import SHORT_BODY, Id, read_json
from components.serve.handlers.state import State
from components.serve.inference.bundle import Bundle
from components.serve.protocol.http import Answer, HttpError, Request, Response

_MAX_PAIRS = 10_000
# More are computed in parts.
_PAIRS_OF_A_PART = 128
Ids = Annotated[list[Id], Meta(max_length=_MAX_PAIRS)]


class Pair(msgspec.Struct):
    """A customer and a product, whose rating is asked for."""

    customer_id: Id
    product_id: Id


class PredictRequest(msgspec.Struct):
    """Pairs as `instances`, or as two columns of the same length."""

    instances: Annotated[list[Pair], Meta(max_length=_MAX_PAIRS)] | UnsetType = UNSET
    customer_id: Ids | UnsetType = UNSET
    product_id: Ids | UnsetType = UNSET


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
    data: Annotated[
        list[Any], Meta(description=f"at most {_MAX_PAIRS} values; lists may be nested")
    ]


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


def predict_v1(state: State, request: Request) -> Answer:
    """Stars for pairs in the KServe V1 protocol, which is also that of Vertex AI."""
    return _answer(state, request.body, _read_v1)


def invocations(state: State, request: Request) -> Answer:
    """Stars for pairs in SageMaker's protocol; the answer to columns is a bare list.

    A bare list has no room for cold starts. They go in the header that SageMaker passes on.
    """
    return _answer(state, request.body, _read_invocations)


def infer_v2(state: State, request: Request) -> Answer:
    """Stars for pairs in the Open Inference Protocol, version 2, in JSON."""
    model = state.settings.model_name, state.bundle.version
    return _answer(state, request.body, partial(_read_v2, *model))


class _Question(NamedTuple):
    """The pairs of a request, and the function that turns their stars into an answer."""

    customers: list[str]
    products: list[str]
    respond: Callable[[PredictResponse], Response]


def _answer(state: State, body: bytes, read: Callable[[bytes], _Question]) -> Answer:
    """Answer a few pairs at once, and many in parts."""
    bundle = state.bundle
    if len(body) > SHORT_BODY:
        return _answer_long(state, bundle, body, read)
    question = read(body)
    if len(question.customers) > _PAIRS_OF_A_PART:
        return _answer_many(state, bundle, question)
    return question.respond(_predict(state, bundle, question.customers, question.products))


async def _answer_long(
    state: State, bundle: Bundle, body: bytes, read: Callable[[bytes], _Question]
) -> Response:
    async with state.turns.large(alone=True):
        await state.turns.take()
        return await _answer_in_parts(state, bundle, read(body))


async def _answer_many(state: State, bundle: Bundle, question: _Question) -> Response:
    async with state.turns.large(alone=True):
        return await _answer_in_parts(state, bundle, question)


async def _answer_in_parts(state: State, bundle: Bundle, question: _Question) -> Response:
    customers, products, respond = question
    predictions: list[float] = []
    cold_starts: list[str | None] = []
    for start in range(0, len(customers), _PAIRS_OF_A_PART):
        await state.turns.take()
        part = slice(start, start + _PAIRS_OF_A_PART)
        answer = _predict(state, bundle, customers[part], products[part])
        predictions += answer.predictions
        cold_starts += answer.cold_starts or [None] * len(answer.predictions)
    return respond(PredictResponse(predictions, cold_starts if any(cold_starts) else None))


def _read_v1(body: bytes) -> _Question:
    return _Question(*_columns(read_json(body, _predict_request)), _respond_v1)


def _respond_v1(answer: PredictResponse) -> Response:
    return Response(_encode(answer))


def _read_invocations(body: bytes) -> _Question:
    asked = read_json(body, _predict_request)
    respond = _respond_v1 if asked.instances is not UNSET else _respond_with_list
    return _Question(*_columns(asked), respond)


def _respond_with_list(answer: PredictResponse) -> Response:
    headers = b""
    if answer.cold_starts is not None:
        found = "; ".join(f"{i}: {what}" for i, what in enumerate(answer.cold_starts) if what)
        value = f"cold starts: {found}"[:_ATTRIBUTES_LENGTH]
        headers = f"x-amzn-sagemaker-custom-attributes: {value}\r\n".encode()
    return Response(_encode(answer.predictions), headers=headers)


def _read_v2(model_name: str, model_version: str, body: bytes) -> _Question:
    asked = read_json(body, _infer_request)
    tensors = {tensor.name: tensor for tensor in asked.inputs}
    if set(tensors) != {"customer_id", "product_id"}:
        raise HttpError(422, "the inputs must be customer_id and product_id")
    customers, products = (_strings(tensors[name]) for name in ("customer_id", "product_id"))
    _check_pairs(customers, products)
    requested = _requested(asked.outputs)
    shape = tensors["customer_id"].shape

    def respond(answer: PredictResponse) -> Response:
        unknown = answer.cold_starts or [None] * len(customers)
        outputs = [
            OutputTensor("rating", shape, "FP32", answer.predictions),
            OutputTensor("cold_start", shape, "BYTES", [each or "" for each in unknown]),
        ]
        chosen = [output for output in outputs if output.name in requested]
        return Response(_encode(InferResponse(model_name, model_version, chosen, asked.id)))

    return _Question(customers, products, respond)


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
    columns = list(map(str, body.customer_id)), list(map(str, body.product_id))
    _check_pairs(*columns)
    return columns


def _check_pairs(customers: list[str], products: list[str]) -> None:
    if len(customers) != len(products):
        raise HttpError(
            422, f"{len(customers)} customers cannot be paired with {len(products)} products"
        )


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
    if len(flat) > _MAX_PAIRS:
        raise HttpError(422, f"input {tensor.name} has more than {_MAX_PAIRS} values")
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


def _predict(
    state: State, bundle: Bundle, customers: list[str], products: list[str]
) -> PredictResponse:
    """Stars for pairs of ids, in their order.

    Args:
        state: of the worker.
        bundle: the one that served when the request came.
        customers: ids.
        products: ids, one for each customer.
    """
    if (scorer := bundle.scorer) is None:
        raise HttpError(404, "this model was trained to rank, not to predict ratings")
    find_user, find_item, stars = bundle.customers.get, bundle.items.get, scorer.stars
    predictions: list[float] = []
    cold_starts: dict[int, str] = {}
    for customer, product in zip(customers, products, strict=True):
        user, item = find_user(customer), find_item(product)
        if user is None or item is None:
            cold_starts[len(predictions)] = _unknown(user, item)
            predictions.append(scorer.cold_start_stars(user, item))
        else:
            predictions.append(stars(user, item))
    if not cold_starts:
        return PredictResponse(predictions)
    state.metrics.add("cold_start_pairs", len(cold_starts))
    return PredictResponse(predictions, [cold_starts.get(n) for n in range(len(predictions))])


def _unknown(user: int | None, item: int | None) -> str:
    """What is unknown of a pair."""
    if user is None:
        return "unknown customer" if item is not None else "unknown customer and product"
    return "unknown product"
