"""Golden requests: what a model answers, computed beside the server, to check servers by."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from components.artifacts.model import Integers, Model
from components.artifacts.top_n import Ranker
from components.errors import UserError

GOLDEN = "golden.json"

_CUSTOMERS = 5
_PRODUCTS = 5
_LENGTH = 10
_TOLERANCE = 1e-5

Ask = Callable[[str, Any], Any]
"""Sends a body, or None for a GET, to a path of a server and returns what it answers."""


def golden_requests(model: Model) -> list[dict[str, Any]]:
    """Requests with their answers, for customers and products spread over the catalogue.

    Each has a `path`, a `body` or null, and the `answer`, of which a server may give more.
    """
    customers = _spread(len(model.catalogue.customers), _CUSTOMERS)
    requests = []
    if model.rating is not None:
        requests.append(_prediction(model, customers))
    if model.ranking is not None:
        ranker = Ranker(model.ranking)
        requests += [_recommendation(model, ranker, int(user)) for user in customers]
    return requests


def check_golden(folder: Path, ask: Ask) -> int:
    """Ask a server the golden requests of the bundle it should be serving.

    Returns:
        How many it answered.

    Raises:
        UserError: if an answer differs by more than 1e-5.
    """
    requests = json.loads((folder / GOLDEN).read_text())
    for request in requests:
        answer = ask(request["path"], request["body"])
        if not _agrees(request["answer"], answer):
            raise UserError(
                f"{request['path']} is answered {json.dumps(answer)[:300]} where the model says "
                f"{json.dumps(request['answer'])[:300]}: the bundle was not made current"
            )
    return len(requests)


def _prediction(model: Model, users: Integers) -> dict[str, Any]:
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


def _recommendation(model: Model, ranker: Ranker, user: int) -> dict[str, Any]:
    history, _ = model.seen.of(user)
    vector = ranker.factors.customer_vector(user, history)
    [(items, scores)] = ranker.best(vector[None], [history], [_LENGTH])
    products = [
        {"product_id": model.catalogue.products[int(item)], "score": float(score)}
        for item, score in zip(items, scores, strict=True)
    ]
    return {
        "path": "/recommend",
        "body": {"customers": [model.catalogue.customers[user]], "n": _LENGTH},
        "answer": {"results": [{"cold_start": False, "recommendations": products}]},
    }


def _spread(count: int, wanted: int) -> Integers:
    return np.unique(np.linspace(0, count - 1, wanted).astype(np.int32))


def _agrees(expected: Any, answer: Any) -> bool:
    """Whether everything expected is in the answer, numbers within the tolerance."""
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
