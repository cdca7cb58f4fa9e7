"""Golden requests: requests with the answers of the model, to test servers with."""

import json
from typing import Any, TypedDict

import numpy as np

from components.artifacts.model import Integers, Model
from components.artifacts.top_n import Ranker
from components.deploy.http import Ask
from components.errors import UserError

GOLDEN = "golden.json"

_CUSTOMERS = 5
_PRODUCTS = 5
_LENGTH = 10
_TOLERANCE = 1e-5

_STRANGER = "a customer whom no model knows"


class Golden(TypedDict):
    """A request and its answer; a GET if it has no body. A server's answer may have more fields."""

    path: str
    body: Any
    answer: Any


def golden_requests(model: Model) -> list[Golden]:
    """Make requests for an unknown customer, and for customers from the whole catalogue."""
    customers = _spread(len(model.catalogue.customers), _CUSTOMERS)
    requests = [_recommendation(_STRANGER, {"cold_start": True})]
    if model.rating is not None:
        requests.append(_prediction(model, customers))
    if model.ranking is not None:
        ranker = Ranker(model.ranking, model.rating)
        requests += [_ranking(model, ranker, int(user)) for user in customers]
    return requests


def check_golden(requests: list[Golden], ask: Ask) -> None:
    """Send the golden requests of a bundle to the server that serves it.

    Args:
        requests: the requests with their answers.
        ask: sends a request to the server.

    Raises:
        UserError: if an answer differs by more than 1e-5.
        OSError: if the server does not answer.
    """
    for request in requests:
        answer = ask(request["path"], request["body"])
        if not _agrees(request["answer"], answer):
            raise UserError(
                f"{request['path']}: the server answers {json.dumps(answer)[:300]}, the model "
                f"{json.dumps(request['answer'])[:300]}"
            )


def _prediction(model: Model, users: Integers) -> Golden:
    assert model.rating is not None
    items = _spread(len(model.catalogue.products), _PRODUCTS)
    pairs = [(user, item) for user in users for item in items]
    instances = [
        {
            "customer_id": model.catalogue.customers[int(user)],
            "product_id": model.catalogue.products[int(item)],
        }
        for user, item in pairs
    ]
    stars = model.rating.predict(*np.array(pairs, np.int32).T)
    return {
        "path": "/v1/models/recommender:predict",
        "body": {"instances": instances},
        "answer": {"predictions": stars.tolist()},
    }


def _ranking(model: Model, ranker: Ranker, user: int) -> Golden:
    history, _ = model.seen.of(user)
    vector = ranker.factors.customer_vector(user, history)
    [(items, scores)] = ranker.best(vector[None], [history], [_LENGTH], [model.rater(user)])
    products = [
        {"product_id": model.catalogue.products[int(item)], "score": float(score)}
        for item, score in zip(items, scores, strict=True)
    ]
    customer = model.catalogue.customers[user]
    return _recommendation(customer, {"cold_start": False, "recommendations": products})


def _recommendation(customer: str, result: dict[str, Any]) -> Golden:
    return {
        "path": "/recommend",
        "body": {"customers": [customer], "n": _LENGTH},
        "answer": {"results": [result]},
    }


def _spread(count: int, wanted: int) -> Integers:
    return np.unique(np.linspace(0, count - 1, wanted).astype(np.int32))


def _agrees(expected: Any, answer: Any) -> bool:
    """Whether the answer has everything that is expected, numbers within the tolerance."""
    if isinstance(expected, dict):
        return isinstance(answer, dict) and all(
            name in answer and _agrees(value, answer[name]) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(answer, list)
            and len(answer) == len(expected)
            and all(map(_agrees, expected, answer))
        )
    if isinstance(expected, float):
        close = _TOLERANCE * max(1.0, abs(expected))
        return isinstance(answer, int | float) and abs(answer - expected) <= close
    return bool(answer == expected)
