"""Lists of products: for a customer, for liked products, similar to a product, popular."""

import asyncio
from collections.abc import Coroutine
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Meta, UnsetType

from components.artifacts.model import Floats, Integers
from components.artifacts.top_n import Ranked
from components.serve.handlers.payloads import Id, read_json, read_query
from components.serve.handlers.state import State
from components.serve.inference.batching import MAX_BATCH
from components.serve.inference.bundle import Bundle, Product
from components.serve.protocol.http import Answer, HttpError, Request, Response

_MAX_PRODUCTS = 1000
_MAX_OFFSET = 100_000
# For all customers of a request together: as many as for a single customer.
_MAX_RANKED = _MAX_PRODUCTS + _MAX_OFFSET

Count = Annotated[int, Meta(ge=1, le=_MAX_PRODUCTS, description="how many products")]
Offset = Annotated[int, Meta(ge=0, le=_MAX_OFFSET, description="how many of the best to pass over")]
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
        """Whether the first products of a list computed ahead are the answer."""
        return not (self.exclude or self.categories or self.include_seen)


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
                max_length=256,
                description=f"their number times (offset + n) may be at most {_MAX_RANKED}",
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
_MAX_CACHED_QUERY = 64


@lru_cache(4096)
def _cached_options(query: str) -> RecommendOptions:
    return read_query(query, RecommendOptions)


def _recommend_options(query: str) -> RecommendOptions:
    if len(query) <= _MAX_CACHED_QUERY:
        return _cached_options(query)
    return read_query(query, RecommendOptions)


# A list is looked up at once or computed later, by the bundle that served when it was asked for.
_Result = Recommendations | Coroutine[Any, Any, Recommendations]


def recommend(state: State, request: Request) -> Answer:
    """The best products for the customer in the path."""
    options = _recommend_options(request.query)
    result = _for_customer(state, state.bundle, request.argument, options)
    if isinstance(result, Recommendations):
        return Response(_encode(result))
    return _response(result)


def recommend_many(state: State, request: Request) -> Coroutine[Any, Any, Response]:
    """The best products for many customers, or for a list of liked products."""
    body = read_json(request.body, _recommend_request)
    if (body.customers is UNSET) == (body.liked is UNSET):
        raise HttpError(422, "send either customers or liked")
    if body.liked is not UNSET:
        return _response(_for_liked(state, state.bundle, list(map(str, body.liked)), body))
    customers = list(map(str, body.customers or []))
    if state.settings.strict:
        _check_known(state, customers)
    if len(customers) * body.stop > _MAX_RANKED:
        raise HttpError(
            422,
            f"{len(customers)} customers with offset + n of {body.stop} are more than "
            f"{_MAX_RANKED} products: ask for fewer",
        )
    return _for_many(state, state.bundle, customers, body)


def similar(state: State, request: Request) -> Response:
    """The products most like the one in the path: the largest cosines of their vectors."""
    bundle, options = state.bundle, read_query(request.query, SimilarOptions)
    item = bundle.items.get(request.argument)
    if item is None:
        raise HttpError(404, f"unknown product {request.argument!r}")
    if bundle.ranker is None:
        raise HttpError(404, "this model was trained to predict ratings, not to rank")
    products = _list_json(bundle, bundle.ranker.similar(item, options.n))
    return Response(_encode(Products(product_id=request.argument, products=products)))


def popular(state: State, request: Request) -> Response:
    """The products with most ratings."""
    options = read_query(request.query, PopularOptions)
    products = _popular(state.bundle, options, _NO_ITEMS)
    return Response(_encode(Products(products=products)))


_NO_ITEMS: Integers = np.zeros(0, dtype=np.int32)


async def _response(result: Coroutine[Any, Any, Recommendations]) -> Response:
    return Response(_encode(await result))


async def _for_many(
    state: State, bundle: Bundle, customers: list[str], options: RecommendOptions
) -> Response:
    """A list for each customer, a batch of customers at a time.

    Args:
        state: of the worker.
        bundle: the one that served when the request came.
        customers: ids, in the order of the answer.
        options: which products are wanted.
    """
    if len(customers) <= MAX_BATCH:
        results = await _for_batch(state, bundle, customers, options)
        return Response(_encode(ManyRecommendations(results)))
    async with state.large_requests:  # so that unfinished answers do not fill the memory
        results = []
        for start in range(0, len(customers), MAX_BATCH):
            batch = customers[start : start + MAX_BATCH]
            results += await _for_batch(state, bundle, batch, options)
            await asyncio.sleep(0)  # other requests are answered between two batches
        return Response(_encode(ManyRecommendations(results)))


async def _for_batch(
    state: State, bundle: Bundle, customers: list[str], options: RecommendOptions
) -> list[Recommendations]:
    results = [_for_customer(state, bundle, customer, options) for customer in customers]
    waiting = [each for each in results if not isinstance(each, Recommendations)]
    computed = iter(await asyncio.gather(*waiting))
    return [each if isinstance(each, Recommendations) else next(computed) for each in results]


def _for_customer(
    state: State, bundle: Bundle, customer: str, options: RecommendOptions
) -> _Result:
    """A list that is looked up at once if possible, otherwise the computation of one."""
    user = bundle.customers.get(customer)
    if user is None:
        return _for_unknown(state, bundle, customer, options)
    lists = bundle.precomputed
    if lists is not None and options.stop <= lists.length and options.plain:
        state.metrics.add("precomputed_lists")
        items, scores = lists.of(user, options.offset, options.stop)
        return _known(customer, _join(bundle, items, scores))
    return _for_known(state, bundle, customer, user, options)


def _for_unknown(
    state: State, bundle: Bundle, customer: str, options: RecommendOptions
) -> Recommendations:
    if state.settings.strict:
        _check_known(state, [customer])
    state.metrics.add("cold_starts")
    products = _popular(bundle, options, _NO_ITEMS)
    return Recommendations(customer_id=customer, cold_start=True, recommendations=products)


def _check_known(state: State, customers: list[str]) -> None:
    for customer in customers:
        if state.bundle.customers.get(customer) is None:
            raise HttpError(404, f"unknown customer {customer!r}")


async def _for_known(
    state: State, bundle: Bundle, customer: str, user: int, options: RecommendOptions
) -> Recommendations:
    history = bundle.history(user)
    seen = _NO_ITEMS if options.include_seen else history
    if bundle.ranker is None:
        return _known(customer, _popular(bundle, options, seen))
    vector = bundle.vector(user, history)
    return _known(customer, await _best(state, bundle, vector, seen, options))


def _known(customer: str, products: msgspec.Raw) -> Recommendations:
    return Recommendations(customer_id=customer, cold_start=False, recommendations=products)


async def _for_liked(
    state: State, bundle: Bundle, liked: list[str], options: RecommendOptions
) -> Recommendations:
    items = [bundle.items.get(product) for product in liked]
    known = [item for item in items if item is not None]
    unknown = [product for product, item in zip(liked, items, strict=True) if item is None]
    history = np.array(known, dtype=np.int32)
    seen = _NO_ITEMS if options.include_seen else history
    if cold_start := bundle.ranker is None or not known:
        state.metrics.add("cold_starts")
        products = _popular(bundle, options, seen)
    else:
        assert bundle.ranker is not None
        vector = bundle.ranker.factors.vector(history)
        products = await _best(state, bundle, vector, seen, options)
    return Recommendations(
        cold_start=cold_start, recommendations=products, unknown_products=unknown or None
    )


async def _best(
    state: State, bundle: Bundle, vector: Floats, seen: Integers, options: RecommendOptions
) -> msgspec.Raw:
    """The best products for a vector, by a bundle that ranks, as JSON.

    Args:
        state: of the worker.
        bundle: the one that served when the request came.
        vector: float32 [k].
        seen: item indices that are not wanted.
        options: which products are wanted.
    """
    assert bundle.ranker is not None
    excluded = _excluded(bundle, options, seen)
    ranked = await state.batcher.best(bundle.ranker, vector, excluded, options.stop)
    return _list_json(bundle, ranked, options.offset)


def _popular(bundle: Bundle, options: PopularOptions, seen: Integers) -> msgspec.Raw:
    """The products with most ratings, without those that are seen or not wanted, as JSON.

    Args:
        bundle: what to answer from.
        options: which products are wanted.
        seen: item indices that are not wanted.
    """
    excluded = _excluded(bundle, options, seen)
    items = bundle.popular
    if len(excluded):
        wanted = np.ones(len(items), dtype=bool)
        wanted[excluded] = False
        items = items[wanted[items]]
    chosen = items[: options.stop]
    ranked = chosen, bundle.model.catalogue.popularity[chosen]
    return _list_json(bundle, ranked, options.offset)


def _excluded(bundle: Bundle, options: PopularOptions, seen: Integers) -> npt.NDArray[Any]:
    """What not to recommend: item indices, or a mask of all items.

    Args:
        bundle: what to answer from.
        options: which products are wanted.
        seen: item indices that are not wanted.
    """
    indices = (bundle.items.get(str(name)) for name in options.exclude)
    known = [item for item in indices if item is not None]
    items = np.concatenate([seen, np.array(known, dtype=np.int32)]) if known else seen
    if not options.categories:
        return items
    numbers = [bundle.category_numbers.get(name, -1) for name in options.categories]
    mask: npt.NDArray[np.bool_] = ~np.isin(bundle.model.catalogue.category, numbers)
    mask[items] = True
    return mask


def _list_json(bundle: Bundle, ranked: Ranked, offset: int = 0) -> msgspec.Raw:
    """The JSON of a ranked list, without its first `offset` products."""
    items, scores = ranked
    return _join(bundle, items[offset:].tolist(), scores[offset:].tolist())


def _join(bundle: Bundle, items: list[int], scores: list[float]) -> msgspec.Raw:
    """The JSON of a list of products, joined from the bundle's fragments and the scores."""
    if not items:
        return msgspec.Raw(b"[]")
    pieces = [b""] * (2 * len(items))
    pieces[0::2] = map(bundle.product_fragments.__getitem__, items)
    pieces[1::2] = _encode(scores)[1:-1].split(b",")
    return msgspec.Raw(b"[%b}]" % b"".join(pieces)[2:])
