"""The routes of the server: what it answers, and by which handler."""

from functools import partial

import msgspec

from components.serve import openapi, operations, pages, predictions, recommendations
from components.serve.http import Route
from components.serve.settings import ServeSettings
from components.serve.state import Handler, State


def handlers(settings: ServeSettings) -> dict[tuple[str, str], Handler]:
    """The handler of every method and path."""
    v1 = f"/v1/models/{settings.model_name}"
    v2 = f"/v2/models/{settings.model_name}"
    table: dict[tuple[str, str], Handler] = {
        ("GET", v1): operations.model_ready,
        ("POST", f"{v1}:predict"): predictions.predict_v1,
        ("GET", "/v2"): operations.server,
        ("GET", "/v2/health/live"): operations.live,
        ("GET", "/v2/health/ready"): operations.ready,
        ("GET", v2): operations.model,
        ("GET", f"{v2}/ready"): operations.model_ready,
        ("POST", f"{v2}/infer"): predictions.infer_v2,
        ("GET", "/ping"): operations.ready,
        ("POST", "/invocations"): predictions.invocations,
        ("GET", "/recommend/{customer_id}"): recommendations.recommend,
        ("POST", "/recommend"): recommendations.recommend_many,
        ("GET", "/similar/{product_id}"): recommendations.similar,
        ("GET", "/popular"): recommendations.popular,
        ("GET", "/metrics"): operations.metrics,
        ("GET", "/openapi.json"): openapi.answer,
        ("GET", "/docs"): pages.docs,
        ("GET", "/"): pages.home,
    }
    if settings.health_route:
        table["GET", settings.health_route] = operations.ready
    if settings.predict_route:
        table["POST", settings.predict_route] = predictions.predict_v1
    return table


def routes(settings: ServeSettings, state: State) -> list[Route]:
    """The routes of a worker, answered from its state."""
    return [
        Route(method, path, partial(handler, state))
        for (method, path), handler in handlers(settings).items()
    ]


def description(settings: ServeSettings) -> bytes:
    """The OpenAPI document of the routes, as JSON."""
    return msgspec.json.encode(openapi.document(handlers(settings)))
