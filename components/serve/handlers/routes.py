"""The table of what the server answers: routes, their handlers, and how they are described."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from components.serve.handlers import pages, predictions, recommendations, server_info
from components.serve.handlers.lists import PopularOptions, RecommendOptions
from components.serve.handlers.predictions import PredictRequest
from components.serve.handlers.recommendations import RecommendRequest
from components.serve.handlers.state import State
from components.serve.protocol.http import Answer, Request, Route
from components.serve.settings import ServeSettings

HTML = "text/html"
TEXT = "text/plain"

_BODY_ERRORS = (400, 413, 422, 429)
# What the types alone cannot express.
_Pairs = Annotated[
    PredictRequest,
    Meta(
        extra_json_schema={
            "oneOf": [{"required": ["instances"]}, {"required": ["customer_id", "product_id"]}]
        }
    ),
]
_CustomersOrLiked = Annotated[
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
    """One thing that the server does.

    Attributes:
        method: GET or POST.
        paths: where it is reached; `{model_name}` stands for the setting.
        handler: answers a request.
        tag: the group in the OpenAPI document.
        summary: what it is for.
        answer: the type of its JSON, several types, or another media type.
        query: the type that the query is read as.
        body: the type that the body is read as.
        examples: of the body, or of the path parameter.
        errors: the statuses that it answers with, beside 200.
        path_setting: the setting that holds one more path.
    """

    method: str
    paths: tuple[str, ...]
    handler: Callable[[State, Request], Answer]
    tag: str
    summary: str
    answer: Any
    query: type[msgspec.Struct] | None = None
    body: Any = None
    examples: tuple[Any, ...] = ()
    errors: tuple[int, ...] = ()
    path_setting: str = ""


OPERATIONS = (
    Operation(
        "GET",
        ("/recommend/{customer_id}",),
        recommendations.recommend,
        "recommendations",
        "The best products for a customer; for an unknown one popular products, or 404 where the "
        "server was started with --strict",
        recommendations.Recommendations,
        query=RecommendOptions,
        examples=(_PAIR["customer_id"],),
        errors=(404, 422, 429, 431),
    ),
    Operation(
        "POST",
        ("/recommend",),
        recommendations.recommend_many,
        "recommendations",
        "The best products for many customers, or for someone who liked these, oldest first; an "
        "unknown customer gets popular products, or the request 404 from a server with --strict",
        (recommendations.ManyRecommendations, recommendations.Recommendations),
        body=_CustomersOrLiked,
        examples=({"customers": [_PAIR["customer_id"]], "n": 5}, {"liked": ["B007831891"]}),
        errors=(404, *_BODY_ERRORS),
    ),
    Operation(
        "GET",
        ("/similar/{product_id}",),
        recommendations.similar,
        "recommendations",
        "The products most like one: the largest cosines",
        recommendations.Products,
        query=recommendations.SimilarOptions,
        examples=(_PAIR["product_id"],),
        errors=(404, 422, 429, 431),
    ),
    Operation(
        "GET",
        ("/popular",),
        recommendations.popular,
        "recommendations",
        "The products with the most ratings",
        recommendations.Products,
        query=PopularOptions,
        errors=(422, 429, 431),
    ),
    Operation(
        "POST",
        ("/v1/models/{model_name}:predict",),
        predictions.predict_v1,
        "predictions",
        "Stars for pairs, in the KServe V1 and Vertex AI protocol; an unknown id counts as the "
        "mean of all, marked as a cold start",
        predictions.PredictResponse,
        body=_Pairs,
        examples=({"instances": [_PAIR]}, _COLUMNS),
        errors=(404, *_BODY_ERRORS),
        path_setting="predict_route",
    ),
    Operation(
        "POST",
        ("/invocations",),
        predictions.invocations,
        "predictions",
        "Stars for pairs, in SageMaker's protocol: columns get a bare list, and its cold starts in "
        "the header x-amzn-sagemaker-custom-attributes",
        (predictions.PredictResponse, list[float]),
        body=_Pairs,
        examples=(_COLUMNS, {"instances": [_PAIR]}),
        errors=(404, *_BODY_ERRORS),
    ),
    Operation(
        "POST",
        ("/v2/models/{model_name}/infer",),
        predictions.infer_v2,
        "predictions",
        "Stars for pairs, in the Open Inference Protocol V2; ids are strings or integers",
        predictions.InferResponse,
        body=predictions.InferRequest,
        examples=({"inputs": _TENSORS}, {"inputs": [_INTEGER, _TENSORS[1]]}),
        errors=(404, *_BODY_ERRORS),
    ),
    Operation(
        "GET",
        ("/v1/models/{model_name}", "/v2/models/{model_name}/ready"),
        server_info.model_ready,
        "health",
        "Whether the model answers",
        server_info.ModelReady,
        errors=(503,),
    ),
    Operation(
        "GET",
        ("/v2/health/ready", "/ping"),
        server_info.ready,
        "health",
        "Whether to send requests here",
        server_info.Ready,
        errors=(503,),
        path_setting="health_route",
    ),
    Operation(
        "GET",
        ("/v2/health/live",),
        server_info.live,
        "health",
        "Whether the process answers",
        server_info.Live,
    ),
    Operation(
        "GET",
        ("/v2",),
        server_info.server,
        "about",
        "The server, as the Open Inference Protocol V2 describes it",
        server_info.ServerMetadata,
    ),
    Operation(
        "GET",
        ("/v2/models/{model_name}",),
        server_info.model,
        "about",
        "What the model takes and gives, and its version",
        server_info.ModelMetadata,
    ),
    Operation(
        "GET",
        ("/metrics",),
        server_info.metrics,
        "about",
        "Metrics of all workers, for Prometheus",
        TEXT,
    ),
    Operation(
        "GET", ("/openapi.json",), server_info.openapi, "about", "This document", dict[str, Any]
    ),
    Operation("GET", ("/docs",), pages.docs, "pages", "This document for people", HTML),
    Operation("GET", ("/",), pages.home, "pages", "A page to try the server by hand", HTML),
)


def operations_by_route(settings: ServeSettings) -> dict[tuple[str, str], Operation]:
    """What the server does at each method and path; a path of the settings replaces a fixed one."""
    fixed = {
        (operation.method, path.replace("{model_name}", settings.model_name)): operation
        for operation in OPERATIONS
        for path in operation.paths
    }
    configured = {
        (operation.method, path): operation
        for operation in OPERATIONS
        if operation.path_setting and (path := getattr(settings, operation.path_setting))
    }
    return fixed | configured


def routes(state: State) -> list[Route]:
    """The routes of a worker, which are answered from its state."""
    return [
        Route(method, path, partial(operation.handler, state))
        for (method, path), operation in operations_by_route(state.settings).items()
    ]
