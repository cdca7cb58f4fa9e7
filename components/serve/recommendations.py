"""Lists of products: for a customer, for a list of liked products, similar, popular."""

import asyncio
from collections.abc import Coroutine
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Meta, UnsetType

from components.artifacts.model import Integers
from components.artifacts.top_n import Ranked
from components.serve.batching import LARGEST
from components.serve.bundle import Bundle, Product
from components.serve.http import Handled, HttpError, Request, Response
from components.serve.payloads import Id, read_json, read_query
from components.serve.state import State

_MOST_PRODUCTS = 1000
_MOST_PASSED_OVER = 100_000
# Of all customers in a request together: as much as one customer alone may ask for.
_MOST_RANKED = _MOST_PRODUCTS + _MOST_PASSED_OVER

Count = Annotated[int, Meta(ge=1, le=_MOST_PRODUCTS, description="how many products")]
Offset = Annotated[
    int, Meta(ge=0, le=_MOST_PASSED_OVER, description="how many of the best to pass over")
]
Ids = Annotated[list[Id], Meta(max_length=1000)]
Names = Annotated[list[str], Meta(max_length=1000)]


class PopularOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which products are wanted."""

    n: Count = 10
    offset: Offset = 0
    exclude: Annotated[
        Ids,
        Meta(
            description="ids of products to leave out; an unknown one changes nothing. "
            "A query repeats the name for each, exclude=A&exclude=B: a comma is part of an id"
        ),
    ] = []
    categories: Annotated[
        Names,
        Meta(
            description="only products of these categories, spelled as the products have them; "
            "an unknown one has no products. A query repeats the name for each"
        ),
    ] = []

    @property
    def stop(self) -> int:
        return self.offset + self.n


class RecommendOptions(PopularOptions, forbid_unknown_fields=True, frozen=True):
    """Which products are wanted for someone with a history."""

    include_seen: Annotated[
        bool, Meta(description="whether products that were rated may be recommended")
    ] = False

    @property
    def plain(self) -> bool:
        """Whether a list computed ahead answers it."""
        return not (self.exclude or self.categories or self.include_seen)


class SimilarOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How many similar products are wanted."""

    n: Count = 10


class RecommendRequest(RecommendOptions, forbid_unknown_fields=True, frozen=True):
    """Many customers, or the products that one liked, oldest first."""

    customers: (
        Annotated[
            list[Id],
            Meta(
                min_length=1,
                max_length=256,
                description=f"their number times (offset + n) may be at most {_MOST_RANKED}",
            ),
        ]
        | UnsetType
    ) = UNSET
    liked: Annotated[list[Id], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET


class Recommendation(Product):
    """One product of a list, in which larger scores are better."""

    score: Annotated[
        float,
        Meta(
            description="of popular products, as a cold start gets them, the number of ratings; of "
            "similar products the cosine; otherwise on a scale of the model's own"
        ),
    ]


Listed = Annotated[
    msgspec.Raw,
    Meta(
        extra_json_schema={
            "type": "array",
            "items": {"$ref": "#/components/schemas/Recommendation"},
        }
    ),
]


class Recommendations(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A list for one customer; `cold_start` if the model knows nothing of them."""

    customer_id: str | None = None
    cold_start: bool
    recommendations: Listed
    unknown_products: list[str] | None = None


class ManyRecommendations(msgspec.Struct):
    """A list for each customer, in the order asked."""

    results: list[Recommendations]


Found = Recommendations | Coroutine[Any, Any, Recommendations]
"""A list, or the computation of one by the bundle that answered when it was asked for."""


class Products(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Products that do not depend on a customer, best first."""

    product_id: str | None = None
    products: Listed


_recommend_request = msgspec.json.Decoder(RecommendRequest)
_encode = msgspec.json.Encoder().encode


# Short queries come again and again; long ones hardly do, and would fill the memory.
_LONGEST_REMEMBERED = 64


@lru_cache(4096)
def _remembered_options(query: str) -> RecommendOptions:
    return read_query(query, RecommendOptions)


def _recommend_options(query: str) -> RecommendOptions:
    if len(query) <= _LONGEST_REMEMBERED:
        return _remembered_options(query)
    return read_query(query, RecommendOptions)


def recommend(state: State, request: Request) -> Handled:
    """The best products for the customer in the path."""
    options = _recommend_options(request.query)
    found = _for_customer(state, state.bundle, request.argument, options)
    if isinstance(found, Recommendations):
        return Response(_encode(found))
    return _later(found)


def recommend_many(state: State, request: Request) -> Coroutine[Any, Any, Response]:
    """The best products for many customers, or for a list of liked products."""
    body = read_json(request.body, _recommend_request)
    if (body.customers is UNSET) == (body.liked is UNSET):
        raise HttpError(422, "send either customers or liked")
    if body.liked is not UNSET:
        return _later(_for_liked(state, state.bundle, list(map(str, body.liked)), body))
    customers = list(map(str, body.customers or []))
    if state.settings.strict:
        _check_known(state, customers)
    if len(customers) * body.stop > _MOST_RANKED:
        raise HttpError(
            422,
            f"{len(customers)} customers with offset + n of {body.stop} are more than "
            f"{_MOST_RANKED} products: ask for fewer",
        )
    return _for_many(state, state.bundle, customers, body)


async def _for_many(
    state: State, bundle: Bundle, customers: list[str], options: RecommendOptions
) -> Response:
    if len(customers) <= LARGEST:
        results = await _together(state, bundle, customers, options)
        return Response(_encode(ManyRecommendations(results)))
    async with state.many:  # one at a time, so that the unfinished ones do not fill the memory
        results = []
        for start in range(0, len(customers), LARGEST):
            group = customers[start : start + LARGEST]
            results += await _together(state, bundle, group, options)
            await asyncio.sleep(0)  # other requests are answered between two groups
        return Response(_encode(ManyRecommendations(results)))


async def _together(
    state: State, bundle: Bundle, customers: list[str], options: RecommendOptions
) -> list[Recommendations]:
    found = [_for_customer(state, bundle, customer, options) for customer in customers]
    waiting = [each for each in found if not isinstance(each, Recommendations)]
    computed = iter(await asyncio.gather(*waiting))
    return [each if isinstance(each, Recommendations) else next(computed) for each in found]


def similar(state: State, request: Request) -> Response:
    """The products most like the one in the path: the largest cosines of their vectors."""
    bundle, options = state.bundle, read_query(request.query, SimilarOptions)
    item = bundle.items.get(request.argument)
    if item is None:
        raise HttpError(404, f"unknown product {request.argument!r}")
    if bundle.ranker is None:
        raise HttpError(404, "this model was trained to predict ratings, not to rank")
    listed = _listed(bundle, bundle.ranker.similar(item, options.n))
    return Response(_encode(Products(product_id=request.argument, products=listed)))


def popular(state: State, request: Request) -> Response:
    """The products with most ratings."""
    options = read_query(request.query, PopularOptions)
    return Response(_encode(Products(products=_popular(state.bundle, options, _no_items))))


_no_items: Integers = np.zeros(0, dtype=np.int32)


async def _later(found: Coroutine[Any, Any, Recommendations]) -> Response:
    return Response(_encode(await found))


def _for_customer(state: State, bundle: Bundle, customer: str, options: RecommendOptions) -> Found:
    """A list at once where it can be looked up, otherwise the computation of one."""
    user = bundle.customers.get(customer)
    if user is None:
        return _for_unknown(state, bundle, customer, options)
    lists = bundle.precomputed
    if lists is not None and options.stop <= lists.length and options.plain:
        state.metrics.add("precomputed_lists")
        items, scores = lists.of(user, options.offset, options.stop)
        return _reply(customer, _joined(bundle, items, scores))
    return _computed(state, bundle, user, customer, options)


def _for_unknown(
    state: State, bundle: Bundle, customer: str, options: RecommendOptions
) -> Recommendations:
    if state.settings.strict:
        _check_known(state, [customer])
    state.metrics.add("cold_starts")
    listed = _popular(bundle, options, _no_items)
    return Recommendations(customer_id=customer, cold_start=True, recommendations=listed)


def _check_known(state: State, customers: list[str]) -> None:
    for customer in customers:
        if state.bundle.customers.get(customer) is None:
            raise HttpError(404, f"unknown customer {customer!r}")


async def _computed(
    state: State, bundle: Bundle, user: int, customer: str, options: RecommendOptions
) -> Recommendations:
    history = bundle.history(user)
    seen = _no_items if options.include_seen else history
    if bundle.ranker is None:
        return _reply(customer, _popular(bundle, options, seen))
    vector = bundle.vector(user, history)
    left_out = _left_out(bundle, options, seen)
    ranked = await state.batcher.best(bundle.ranker, vector, left_out, options.stop)
    return _reply(customer, _listed(bundle, ranked, options.offset))


async def _for_liked(
    state: State, bundle: Bundle, liked: list[str], options: RecommendOptions
) -> Recommendations:
    items = [bundle.items.get(product) for product in liked]
    known = [item for item in items if item is not None]
    unknown = [product for product, item in zip(liked, items, strict=True) if item is None]
    history = np.array(known, dtype=np.int32)
    seen = _no_items if options.include_seen else history
    if bundle.ranker is None or not known:
        state.metrics.add("cold_starts")
        listed = _popular(bundle, options, seen)
        return Recommendations(
            cold_start=True, recommendations=listed, unknown_products=unknown or None
        )
    vector = bundle.ranker.factors.vector(history)
    left_out = _left_out(bundle, options, seen)
    ranked = await state.batcher.best(bundle.ranker, vector, left_out, options.stop)
    listed = _listed(bundle, ranked, options.offset)
    return Recommendations(
        cold_start=False, recommendations=listed, unknown_products=unknown or None
    )


def _reply(customer: str, listed: msgspec.Raw) -> Recommendations:
    return Recommendations(customer_id=customer, cold_start=False, recommendations=listed)


def _popular(bundle: Bundle, options: PopularOptions, seen: Integers) -> msgspec.Raw:
    left_out = _left_out(bundle, options, seen)
    items = bundle.popular
    if len(left_out):
        wanted = np.ones(len(items), dtype=bool)
        wanted[left_out] = False
        items = items[wanted[items]]
    chosen = items[: options.stop]
    ranked = chosen, bundle.model.catalogue.popularity[chosen]
    return _listed(bundle, ranked, options.offset)


def _left_out(bundle: Bundle, options: PopularOptions, seen: Integers) -> npt.NDArray[Any]:
    """What not to recommend: item indices, or a mask of all items."""
    found = (bundle.items.get(str(name)) for name in options.exclude)
    excluded = [item for item in found if item is not None]
    items = np.concatenate([seen, np.array(excluded, dtype=np.int32)]) if excluded else seen
    if not options.categories:
        return items
    numbers = [bundle.numbers_of_categories.get(name, -1) for name in options.categories]
    mask: npt.NDArray[np.bool_] = ~np.isin(bundle.model.catalogue.category, numbers)
    mask[items] = True
    return mask


def _listed(bundle: Bundle, ranked: Ranked, offset: int = 0) -> msgspec.Raw:
    """The JSON of a list of products without the first few."""
    items, scores = ranked
    return _joined(bundle, items[offset:].tolist(), scores[offset:].tolist())


def _joined(bundle: Bundle, items: list[int], scores: list[float]) -> msgspec.Raw:
    """The JSON of a list of products, from the pieces that the bundle holds."""
    if not items:
        return msgspec.Raw(b"[]")
    pieces = [b""] * (2 * len(items))
    pieces[0::2] = map(bundle.products.__getitem__, items)
    pieces[1::2] = _encode(scores)[1:-1].split(b",")
    return msgspec.Raw(b"[%b}]" % b"".join(pieces)[2:])
