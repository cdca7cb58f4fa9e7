"""The OpenAPI document: every route, described from the types that it reads and writes."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from components.images import VERSION
from components.serve import operations, pages, predictions, recommendations
from components.serve.http import Problem, Request, Response
from components.serve.predictions import PredictRequest
from components.serve.recommendations import RecommendRequest
from components.serve.state import Handler, State

HTML = "text/html"
TEXT = "text/plain"

_COMPONENTS = "#/components"
_BODY_ERRORS = (400, 413, 422)
_WHY = {
    400: "the body is not JSON",
    404: "there is nothing of that name",
    413: "the body is too large",
    431: "the path or the query is too long",
    422: "a parameter or the body is not of the shape described here",
    503: "not ready: the server is about to end",
}
# What a struct alone cannot say.
_Pairs = Annotated[
    PredictRequest,
    Meta(
        extra_json_schema={
            "oneOf": [{"required": ["instances"]}, {"required": ["customer_id", "product_id"]}]
        }
    ),
]
_Whom = Annotated[
    RecommendRequest,
    Meta(extra_json_schema={"oneOf": [{"required": ["customers"]}, {"required": ["liked"]}]}),
]
_PAIR = {"customer_id": "10000010", "product_id": "B007831891"}
_COLUMNS = {name: [value] for name, value in _PAIR.items()}
_TENSORS = [
    {"name": name, "shape": [1], "datatype": "BYTES", "data": values}
    for name, values in _COLUMNS.items()
]
_INTEGER = _TENSORS[0] | {"datatype": "INT64", "data": [int(_PAIR["customer_id"])]}


class Operation(NamedTuple):
    """What a handler does, for those who call it.

    Attributes:
        tag, summary: where it belongs, and what it is for.
        answer: the type of the JSON that it answers, one or several, or another media type.
        body, query: the types that the request's body and query are read as.
        examples: of the body, or of the path's parameter.
        errors: the statuses that it may answer beside 200.
    """

    tag: str
    summary: str
    answer: Any
    body: Any = None
    query: type[msgspec.Struct] | None = None
    examples: tuple[Any, ...] = ()
    errors: tuple[int, ...] = ()


def answer(state: State, _request: Request) -> Response:
    """The document itself."""
    return Response(state.openapi)


OPERATIONS: dict[Handler, Operation] = {
    recommendations.recommend: Operation(
        "recommendations",
        "The best products for a customer; for an unknown one popular products, or 404 where the "
        "server was started with --strict",
        recommendations.Recommendations,
        query=recommendations.RecommendOptions,
        examples=(_PAIR["customer_id"],),
        errors=(404, 422, 431),
    ),
    recommendations.recommend_many: Operation(
        "recommendations",
        "The best products for many customers, or for someone who liked these, oldest first; an "
        "unknown customer gets popular products, or the request 404 from a server with --strict",
        (recommendations.ManyRecommendations, recommendations.Recommendations),
        body=_Whom,
        examples=({"customers": [_PAIR["customer_id"]], "n": 5}, {"liked": ["B007831891"]}),
        errors=(404, *_BODY_ERRORS),
    ),
    recommendations.similar: Operation(
        "recommendations",
        "The products most like one: the largest cosines",
        recommendations.Products,
        query=recommendations.SimilarOptions,
        examples=(_PAIR["product_id"],),
        errors=(404, 422, 431),
    ),
    recommendations.popular: Operation(
        "recommendations",
        "The products with most ratings",
        recommendations.Products,
        query=recommendations.PopularOptions,
        errors=(422, 431),
    ),
    predictions.predict_v1: Operation(
        "predictions",
        "Stars for pairs, in the KServe V1 and Vertex AI protocol; an unknown id counts as the "
        "mean of all, marked as a cold start",
        predictions.PredictResponse,
        body=_Pairs,
        examples=({"instances": [_PAIR]}, _COLUMNS),
        errors=(404, *_BODY_ERRORS),
    ),
    predictions.invocations: Operation(
        "predictions",
        "Stars for pairs, in SageMaker's protocol: columns get a bare list, and its cold starts in "
        "the header x-amzn-sagemaker-custom-attributes",
        (predictions.PredictResponse, list[float]),
        body=_Pairs,
        examples=(_COLUMNS, {"instances": [_PAIR]}),
        errors=(404, *_BODY_ERRORS),
    ),
    predictions.infer_v2: Operation(
        "predictions",
        "Stars for pairs, in the Open Inference Protocol V2; ids are strings or integers",
        predictions.InferResponse,
        body=predictions.InferRequest,
        examples=({"inputs": _TENSORS}, {"inputs": [_INTEGER, _TENSORS[1]]}),
        errors=(404, *_BODY_ERRORS),
    ),
    operations.model_ready: Operation(
        "health", "Whether the model answers", operations.ModelReady, errors=(503,)
    ),
    operations.ready: Operation(
        "health", "Whether to send requests here", operations.Ready, errors=(503,)
    ),
    operations.live: Operation("health", "Whether the process answers", operations.Live),
    operations.server: Operation(
        "about",
        "The server, as the Open Inference Protocol V2 describes it",
        operations.ServerMetadata,
    ),
    operations.model: Operation(
        "about", "What the model takes and gives, and its version", operations.ModelMetadata
    ),
    operations.metrics: Operation("about", "Metrics of all workers, for Prometheus", TEXT),
    answer: Operation("about", "This document", dict[str, Any]),
    pages.docs: Operation("pages", "This document for people", HTML),
    pages.home: Operation("pages", "A page to try the server by hand", HTML),
}


def document(table: Mapping[tuple[str, str], Handler]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these routes.

    Args:
        table: handlers by method and path; a path may have one parameter in braces.
    """
    components: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), handler in table.items():
        described = _operation(method, path, OPERATIONS[handler], components)
        paths.setdefault(path, {})[method.lower()] = described
    _schema(Problem, components)
    _schema(recommendations.Recommendation, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "alsolike",
            "version": VERSION,
            "description": "Recommendations and star predictions. Send an id as a string or an "
            "integer. Every answer carries the version of the model that gave it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in OPERATIONS.values())],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": {str(status): _error(status) for status in _WHY},
            "parameters": {"RequestId": _REQUEST_ID},
            "headers": _HEADERS,
        },
    }


def _operation(
    method: str, path: str, operation: Operation, components: dict[str, Any]
) -> dict[str, Any]:
    success = {
        "description": HTTPStatus.OK.phrase,
        "headers": _HEADER_REFERENCES,
        "content": _content(operation.answer, components),
    }
    errors = {
        str(status): {"$ref": f"{_COMPONENTS}/responses/{status}"} for status in operation.errors
    }
    described: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "parameters": [*_path_parameters(path, operation), *_query_parameters(operation)],
        "responses": {"200": success, **errors},
    }
    described["parameters"].append({"$ref": f"{_COMPONENTS}/parameters/RequestId"})
    if operation.body is not None:
        content = _content(operation.body, components)
        content["application/json"]["examples"] = {
            f"example {number}": {"value": value}
            for number, value in enumerate(operation.examples, start=1)
        }
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameters(path: str, operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            "example": operation.examples[0],
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    [schema] = msgspec.json.schema(operation.query)["$defs"].values()
    return [
        {"name": name, "in": "query", "description": shape.pop("description"), "schema": shape}
        for name, shape in schema["properties"].items()
    ]


def _content(kind: Any, components: dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind, str):
        return {kind: {"schema": {"type": "string"}}}
    if isinstance(kind, tuple):
        schema = {"oneOf": [_schema(each, components) for each in kind]}
    else:
        schema = _schema(kind, components)
    return {"application/json": {"schema": schema}}


def _schema(kind: Any, components: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; the schemas that it refers to are added to the components."""
    (schema,), found = msgspec.json.schema_components(
        [kind], ref_template=f"{_COMPONENTS}/schemas/{{name}}"
    )
    components.update(found)
    return schema


def _error(status: int) -> dict[str, Any]:
    return {
        "description": _WHY[status],
        "headers": _HEADER_REFERENCES,
        "content": {
            "application/json": {
                "schema": {"$ref": f"{_COMPONENTS}/schemas/{Problem.__name__}"},
                "example": {"error": _WHY[status]},
            }
        },
    }


_REQUEST_ID = {
    "name": "x-request-id",
    "in": "header",
    "description": "its first 128 characters come back with the answer and stand in the log; "
    "where none is sent, one is made",
    "schema": {"type": "string"},
}
_HEADERS = {
    "x-request-id": {"description": "the request's id", "schema": {"type": "string"}},
    "model-version": {"description": "the model that answered", "schema": {"type": "string"}},
}
_HEADER_REFERENCES = {name: {"$ref": f"{_COMPONENTS}/headers/{name}"} for name in _HEADERS}
