"""Lists of products: for a customer, for liked products, similar to a product, popular."""

from collections.abc import Coroutine
from contextlib import nullcontext
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from components.serve.handlers.lists import (
    SHORT,
    Count,
    Lists,
    PopularOptions,
    Recipient,
    RecommendOptions,
    list_json,
    pieces_of,
)
from components.serve.handlers.payloads import SHORT_BODY, Id, read_json, read_query
from components.serve.handlers.reasons import MOST_EXPLAINED, MOST_REASONS, Taste
from components.serve.handlers.state import State
from components.serve.inference.bundle import Bundle, Product
from components.serve.protocol.http import Answer, HttpError, Request, Response

_MAX_CUSTOMERS = 256
# For all customers of a request together.
_MAX_RANKED = 25_600
# In one part of a large request, which takes milliseconds.
_CUSTOMERS_OF_A_PART = 16
_RANKED_OF_A_PART = 512


class SimilarOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How many similar products are wanted."""

    n: Count = 10


class RecommendRequest(RecommendOptions, forbid_unknown_fields=True, frozen=True):
    """Many customers, or the products that someone liked, oldest first."""

    customers: (
        Annotated[
            list[Id],
            Meta(
                min_length=1,
                max_length=_MAX_CUSTOMERS,
                description="if there are several, their number times (offset + n) may be at most "
                f"{_MAX_RANKED}",
            ),
        ]
        | UnsetType
    ) = UNSET
    liked: Annotated[list[Id], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        customers = self.customers or [""]
        if self.explain and len(customers) * self.n > MOST_EXPLAINED:
            raise ValueError(
                f"at most {MOST_EXPLAINED} products of a request can be explained: lower n or ask "
                "for fewer customers"
            )


class Reason(Product):
    """A liked product, and what it adds to the score of a recommended one."""

    score: float


class Recommendation(Product):
    """One product of a list, in which larger scores are better."""

    score: Annotated[
        float,
        Meta(
            description="of popular products, which a cold start gets, the number of ratings; of "
            "similar products the cosine; otherwise a score without a fixed scale"
        ),
    ]
    because: (
        Annotated[
            list[Reason],
            Meta(
                description=f"with explain, the up to {MOST_REASONS} products that add most to the "
                "score, of those that the customer rated no lower than their mean or the request "
                "calls liked; none where popularity orders the products"
            ),
        ]
        | UnsetType
    ) = UNSET


ProductList = Annotated[
    msgspec.Raw,
    Meta(
        extra_json_schema={
            "type": "array",
            "items": {"$ref": "#/components/schemas/Recommendation"},
        }
    ),
]


class Recommendations(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A list for one customer; `cold_start` if the model does not know them."""

    customer_id: str | None = None
    cold_start: bool
    recommendations: ProductList
    unknown_products: list[str] | None = None


class ManyRecommendations(msgspec.Struct):
    """A list for each customer, in the order of the request."""

    results: list[Recommendations]


class Products(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Products for no customer in particular, best first."""

    product_id: str | None = None
    products: ProductList


_recommend_request = msgspec.json.Decoder(RecommendRequest)
_encode = msgspec.json.Encoder().encode

# Short queries recur; long ones hardly do, and would fill the memory.
_SHORT_QUERY = 256


@lru_cache(4096)
def _cached_options(query: str) -> tuple[RecommendOptions, bool]:
    """What a query says, and whether it is short."""
    options = read_query(query, RecommendOptions)
    return options, options.short


def recommend(state: State, request: Request) -> Answer:
    """The best products for the customer in the path."""
    bundle, customer = state.bundle, request.argument
    if len(request.query) > _SHORT_QUERY:
        return _recommend_in_turn(state, bundle, customer, request.query)
    options, short = _cached_options(request.query)
    if not short:
        return _recommend_in_turn(state, bundle, customer, request.query)
    lists = Lists(bundle, options)
    found = _without_ranking(state, lists, customer)
    if found is None:
        return _recommend_with_others(state, lists, customer)
    return Response(_encode(found))


async def _recommend_with_others(state: State, lists: Lists, customer: str) -> Response:
    return _response(await _ranked(state, lists, customer))


async def _recommend_in_turn(state: State, bundle: Bundle, customer: str, query: str) -> Response:
    async with state.turns.large():
        await state.turns.take()
        lists = Lists(bundle, read_query(query, RecommendOptions))
        found = _without_ranking(state, lists, customer)
        return _response(found or await _ranked(state, lists, customer))


def recommend_many(state: State, request: Request) -> Answer:
    """The best products for many customers, or for a list of liked products."""
    bundle = state.bundle
    if len(request.body) > SHORT_BODY:
        return _recommend_many_long(state, bundle, request.body)
    return _many(state, bundle, read_json(request.body, _recommend_request))


async def _recommend_many_long(state: State, bundle: Bundle, body: bytes) -> Response:
    async with state.turns.large(alone=True):
        await state.turns.take()
        return await _many(state, bundle, read_json(body, _recommend_request), has_turn=True)


def _many(
    state: State, bundle: Bundle, body: RecommendRequest, *, has_turn: bool = False
) -> Coroutine[Any, Any, Response]:
    """The computation of an answer, once the request is found to be valid.

    Args:
        state: of the worker.
        bundle: the one that served when the request came.
        body: the request.
        has_turn: whether this is computed as a large request already.
    """
    if (body.customers is UNSET) == (body.liked is UNSET):
        raise HttpError(422, "send either customers or liked")
    lists = Lists(bundle, body)
    if body.liked is not UNSET:
        return _for_liked(state, lists, list(map(str, body.liked)), body, has_turn)
    customers = list(map(str, body.customers or []))
    if state.settings.strict:
        _check_known(lists, customers)
    if len(customers) > 1 and len(customers) * body.stop > _MAX_RANKED:
        raise HttpError(
            422,
            f"{len(customers)} customers with offset + n of {body.stop} are more than "
            f"{_MAX_RANKED} products: ask for fewer",
        )
    return _for_many(state, lists, customers, body, has_turn)


def similar(state: State, request: Request) -> Answer:
    """The products most like the one in the path: the largest cosines of their vectors."""
    bundle = state.bundle
    item = bundle.items.get(request.argument)
    if item is None:
        raise HttpError(404, f"unknown product {request.argument!r}")
    if bundle.ranker is None:
        raise HttpError(404, "this model was trained to predict ratings, not to rank")
    return _similar(state, bundle, item, request.query)


async def _similar(state: State, bundle: Bundle, item: int, query: str) -> Response:
    assert bundle.ranker is not None
    async with state.turns.large():
        await state.turns.take()
        items, cosines = bundle.ranker.similar(item, read_query(query, SimilarOptions).n)
        products = list_json(pieces_of(bundle, items.tolist(), cosines.tolist()))
        name = bundle.model.catalogue.products[item]
        return _response(Products(product_id=name, products=products))


def popular(state: State, request: Request) -> Answer:
    """The products with the most ratings."""
    bundle = state.bundle
    if len(request.query) > _SHORT_QUERY:
        return _popular_in_turn(state, bundle, request.query)
    options = read_query(request.query, PopularOptions)
    if not options.short:
        return _popular_in_turn(state, bundle, request.query)
    return _response(Products(products=Lists(bundle, options).popular()))


async def _popular_in_turn(state: State, bundle: Bundle, query: str) -> Response:
    async with state.turns.large():
        await state.turns.take()
        lists = Lists(bundle, read_query(query, PopularOptions))
        return _response(Products(products=lists.popular()))


def _response(answer: Recommendations | ManyRecommendations | Products) -> Response:
    return Response(_encode(answer))


async def _for_many(
    state: State, lists: Lists, customers: list[str], options: RecommendOptions, has_turn: bool
) -> Response:
    """A list for each customer, some customers at a time.

    Args:
        state: of the worker.
        lists: from the bundle that served when the request came.
        customers: ids, in the order of the answer.
        options: which products are wanted.
        has_turn: whether this is computed as a large request already.
    """
    if len(customers) == 1 and options.short:
        found = _without_ranking(state, lists, customers[0])
        results = [found or await _ranked(state, lists, customers[0])]
        return _response(ManyRecommendations(results))
    size = max(1, min(_CUSTOMERS_OF_A_PART, _RANKED_OF_A_PART // options.stop))
    parts = [customers[start : start + size] for start in range(0, len(customers), size)]
    results = []
    async with nullcontext() if has_turn else state.turns.large(alone=len(parts) > 1):
        for part in parts:
            await state.turns.take()
            results += _part(state, lists, part)
        return _response(ManyRecommendations(results))


def _part(state: State, lists: Lists, customers: list[str]) -> list[Recommendations]:
    """A list for each customer, computed now."""
    found = [_without_ranking(state, lists, customer) for customer in customers]
    missing = (
        lists.bundle.customers.get(customer)
        for customer, result in zip(customers, found, strict=True)
        if result is None
    )
    recipients = [lists.customer(user) for user in missing if user is not None]
    ranked = iter(lists.best_of_each(state.batcher, recipients) if recipients else ())
    return [
        result or _known(customer, next(ranked))
        for customer, result in zip(customers, found, strict=True)
    ]


def _without_ranking(state: State, lists: Lists, customer: str) -> Recommendations | None:
    """A list that is looked up, or popular products where nothing can be ranked; otherwise None."""
    bundle = lists.bundle
    user = bundle.customers.get(customer)
    if user is None:
        if state.settings.strict:
            _check_known(lists, [customer])
        state.metrics.add("cold_starts")
        products = lists.popular()
        return Recommendations(customer_id=customer, cold_start=True, recommendations=products)
    looked_up = lists.looked_up(user)
    if looked_up is not None:
        state.metrics.add("precomputed_lists")
        return _known(customer, looked_up)
    if bundle.ranker is None:
        return _known(customer, lists.popular(lists.seen(bundle.history(user))))
    return None


def _check_known(lists: Lists, customers: list[str]) -> None:
    for customer in customers:
        if lists.bundle.customers.get(customer) is None:
            raise HttpError(404, f"unknown customer {customer!r}")


async def _ranked(state: State, lists: Lists, customer: str) -> Recommendations:
    """A list for a customer that the model knows, computed together with other requests."""
    user = lists.bundle.customers.get(customer)
    assert user is not None
    return _known(customer, await lists.best(state.batcher, lists.customer(user)))


def _known(customer: str, products: msgspec.Raw) -> Recommendations:
    return Recommendations(customer_id=customer, cold_start=False, recommendations=products)


async def _for_liked(
    state: State, lists: Lists, liked: list[str], options: RecommendOptions, has_turn: bool
) -> Response:
    """A list for someone who liked these products.

    Args:
        state: of the worker.
        lists: from the bundle that served when the request came.
        liked: ids, oldest first.
        options: which products are wanted.
        has_turn: whether this is computed as a large request already.
    """
    if options.short and len(liked) <= SHORT:
        return _response(await _liked(state, lists, liked, options))
    async with nullcontext() if has_turn else state.turns.large():
        await state.turns.take()
        return _response(await _liked(state, lists, liked, options))


async def _liked(
    state: State, lists: Lists, liked: list[str], options: RecommendOptions
) -> Recommendations:
    """A list for someone who liked these products.

    Args:
        state: of the worker.
        lists: from the bundle that served when the request came.
        liked: ids, oldest first.
        options: which products are wanted.
    """
    bundle = lists.bundle
    items = [bundle.items.get(product) for product in liked]
    known = [item for item in items if item is not None]
    unknown = [product for product, item in zip(liked, items, strict=True) if item is None]
    history = np.array(known, dtype=np.int32)
    seen = lists.seen(history)
    if cold_start := bundle.ranker is None or not known:
        state.metrics.add("cold_starts")
        products = lists.popular(seen)
    else:
        assert bundle.ranker is not None
        vector = bundle.ranker.factors.vector(history)
        taste = Taste.of_all(history) if options.explain else None
        recipient = Recipient(vector, seen, rater=None, taste=taste)
        products = await lists.best(state.batcher, recipient)
    return Recommendations(
        cold_start=cold_start, recommendations=products, unknown_products=unknown or None
    )
