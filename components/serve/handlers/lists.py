"""Lists of products as JSON: which ones are wanted, and how they are found in a bundle."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from components.artifacts.model import Floats, Integers, Rater
from components.artifacts.top_n import Ranked
from components.serve.handlers.payloads import Id
from components.serve.handlers.reasons import MOST_EXPLAINED, Taste, reasons
from components.serve.inference.batching import TopNBatcher
from components.serve.inference.bundle import Bundle

_MAX_PRODUCTS = 1000
_MAX_OFFSET = 10_000
# What is found in a fraction of a millisecond.
SHORT = 100
_FEW_EXPLAINED = 10

Count = Annotated[int, Meta(ge=1, le=_MAX_PRODUCTS, description="how many products")]
Offset = Annotated[
    int, Meta(ge=0, le=_MAX_OFFSET, description="how many of the best products to skip")
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
            description="ids of products to leave out; unknown ids are ignored. "
            "In a query, repeat the name: exclude=A&exclude=B. A comma is part of an id"
        ),
    ] = []
    categories: Annotated[
        Names,
        Meta(
            description="only products of these categories, spelled as in the catalogue; "
            "an unknown category has no products. In a query, repeat the name for each"
        ),
    ] = []

    @property
    def stop(self) -> int:
        return self.offset + self.n

    @property
    def short(self) -> bool:
        """Whether a list takes a moment, so that it is answered at once."""
        return self.stop <= SHORT and len(self.exclude) + len(self.categories) <= SHORT


class RecommendOptions(PopularOptions, forbid_unknown_fields=True, frozen=True):
    """Which products are wanted for someone with a history."""

    include_seen: Annotated[
        bool, Meta(description="whether products that were rated may be recommended")
    ] = False
    explain: Annotated[
        bool,
        Meta(
            description="whether to say which liked products each one is recommended for, of at "
            f"most {MOST_EXPLAINED} products a request"
        ),
    ] = False

    def __post_init__(self) -> None:
        if self.explain and self.n > MOST_EXPLAINED:
            raise ValueError(f"at most {MOST_EXPLAINED} products can be explained: lower n")

    @property
    def short(self) -> bool:
        """Whether a list takes a moment, though the customer rated thousands of products."""
        return super().short and not (self.explain and self.n > _FEW_EXPLAINED)

    @property
    def plain(self) -> bool:
        """Whether the first products of a list computed ahead are the answer."""
        return not (self.exclude or self.categories or self.include_seen)


NO_ITEMS: Integers = np.zeros(0, dtype=np.int32)


class Recipient(NamedTuple):
    """For whom a list is.

    Attributes:
        vector: in the ranking, float32 [k].
        seen: the items that are not wanted again, int32 [n].
        rater: how they rate; None to leave expected stars out.
        taste: to explain the list by; None for no reasons.
    """

    vector: Floats
    seen: Integers
    rater: Rater | None
    taste: Taste | None


class Lists:
    """Lists from one bundle with the same options; what these exclude is found once."""

    def __init__(self, bundle: Bundle, options: RecommendOptions | PopularOptions) -> None:
        self.bundle = bundle
        self._options = options

    def looked_up(self, user: int) -> msgspec.Raw | None:
        """A list that was computed ahead, or None."""
        lists, options = self.bundle.precomputed, self._options
        if lists is None or not isinstance(options, RecommendOptions) or not options.plain:
            return None
        start, stop = options.offset, options.offset + options.n
        if stop > lists.length:
            return None
        taste = self.taste(user) if options.explain else None
        return self._join(*lists.of(user, start, stop), taste)

    def taste(self, user: int) -> Taste | None:
        """What a customer rated, if the answer is to explain itself."""
        options = self._options
        if not isinstance(options, RecommendOptions) or not options.explain:
            return None
        return Taste(self.bundle.history(user), self.bundle.liked(user))

    def popular(self, seen: Integers = NO_ITEMS) -> msgspec.Raw:
        """The products with the most ratings, without those that are seen."""
        if not len(seen):
            return self._popular
        return self._most_popular(self._without(seen))

    def customer(self, user: int) -> Recipient:
        """A customer of the model."""
        history = self.bundle.history(user)
        vector, rater = self.bundle.vector(user, history), self.bundle.rater(user)
        return Recipient(vector, self.seen(history), rater, self.taste(user))

    async def best(self, batcher: TopNBatcher, recipient: Recipient) -> msgspec.Raw:
        """The best products for someone, computed together with other requests."""
        assert self.bundle.ranker is not None
        excluded, count = self._without(recipient.seen), self._options.stop
        ranked = await batcher.best(
            self.bundle.ranker, recipient.vector, excluded, count, recipient.rater
        )
        return self._json(ranked, recipient.taste)

    def best_of_each(
        self, batcher: TopNBatcher, recipients: Sequence[Recipient]
    ) -> list[msgspec.Raw]:
        """The best products for each of some people, computed now."""
        assert self.bundle.ranker is not None
        vectors, raters = [each.vector for each in recipients], [each.rater for each in recipients]
        excluded = [self._without(each.seen) for each in recipients]
        counts = [self._options.stop] * len(recipients)
        ranked = batcher.rank(self.bundle.ranker, vectors, excluded, counts, raters)
        return [
            self._json(each, recipient.taste)
            for each, recipient in zip(ranked, recipients, strict=True)
        ]

    def seen(self, history: Integers) -> Integers:
        """The items of a history that are not wanted."""
        options = self._options
        shown = isinstance(options, RecommendOptions) and options.include_seen
        return NO_ITEMS if shown else history

    @cached_property
    def _popular(self) -> msgspec.Raw:
        return self._most_popular(self._excluded)

    def _most_popular(self, excluded: npt.NDArray[Any]) -> msgspec.Raw:
        items = self.bundle.popular
        if len(excluded):
            wanted = np.ones(len(items), dtype=bool)
            wanted[excluded] = False
            items = items[wanted[items]]
        chosen = items[: self._options.stop]
        return self._json((chosen, self.bundle.model.catalogue.popularity[chosen]))

    @cached_property
    def _excluded(self) -> npt.NDArray[Any]:
        """What the options leave out: item indices, or a mask of all items."""
        indices = (self.bundle.items.get(str(name)) for name in self._options.exclude)
        items = np.array([item for item in indices if item is not None], dtype=np.int32)
        if not self._options.categories:
            return items
        numbers = self.bundle.category_numbers
        left_out = np.ones(len(numbers), dtype=bool)
        left_out[[numbers[name] for name in self._options.categories if name in numbers]] = False
        mask: npt.NDArray[np.bool_] = left_out[self.bundle.model.catalogue.category]
        mask[items] = True
        return mask

    def _without(self, seen: Integers) -> npt.NDArray[Any]:
        """What the options leave out, and what was seen: item indices, or a mask of all items."""
        if self._excluded.dtype != bool:
            return np.concatenate([seen, self._excluded]) if len(self._excluded) else seen
        mask = self._excluded.copy()
        mask[seen] = True
        return mask

    def _json(self, ranked: Ranked, taste: Taste | None = None) -> msgspec.Raw:
        items, scores = ranked
        start = self._options.offset
        return self._join(items[start:].tolist(), scores[start:].tolist(), taste)

    def _join(self, items: list[int], scores: list[float], taste: Taste | None) -> msgspec.Raw:
        pieces = pieces_of(self.bundle, items, scores)
        if taste is not None and items:
            pieces[1::2] = map(bytes.__add__, pieces[1::2], self._because(items, taste))
        return list_json(pieces)

    def _because(self, items: list[int], taste: Taste) -> Iterator[bytes]:
        """What the JSON of each item has after its score, to explain it."""
        liked, added, counts = reasons(self.bundle, taste, items)
        pieces = pieces_of(self.bundle, liked.ravel().tolist(), added.ravel().tolist())
        width = 2 * liked.shape[1]
        for row, count in enumerate(counts):
            own = pieces[row * width : row * width + 2 * count]
            yield b',"because":%b' % bytes(list_json(own))


_encode = msgspec.json.Encoder().encode


def pieces_of(bundle: Bundle, items: list[int], scores: list[float]) -> list[bytes]:
    """The JSON of a list of products: for each the bundle's fragment, and the score.

    Args:
        bundle: that has the products.
        items: item indices.
        scores: one for each item.
    """
    pieces = [b""] * (2 * len(items))
    if items:
        pieces[0::2] = map(bundle.product_fragments.__getitem__, items)
        pieces[1::2] = _encode(scores)[1:-1].split(b",")
    return pieces


def list_json(pieces: list[bytes]) -> msgspec.Raw:
    """Join the pieces of a list to JSON; each begins with the end of the one before."""
    return msgspec.Raw(b"[%b}]" % b"".join(pieces)[2:] if pieces else b"[]")
