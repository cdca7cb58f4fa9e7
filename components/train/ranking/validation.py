"""Measure how well factors rank the held-out ratings among the whole catalogue."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from mxnet import nd

from components.artifacts.model import Floats, Integers, RankingFactors
from components.artifacts.splits import Ratings
from components.train.histories.training_set import TrainingSet

_CUTS = (10, 50)
# The number of scores to compute for a candidate. Where all customers would need more, a sample
# is enough, but not a smaller one than distinguishes the candidates.
_MOST_SCORES = 12_500_000
_SMALLEST_SAMPLE = 2_000
_BLOCK_SCORES = 1 << 23


@dataclass(frozen=True)
class Validation:
    """The held-out ratings of customers whose earlier ratings were trained on.

    Attributes:
        data: the training set; products rated there are not recommended again.
        users: the customers of the held-out ratings, int32 [n].
        items: their products, int32 [n].
        rows: the places of these ratings among all held-out ones, ascending, int64 [n].
        ties: decides between equal scores, ascending, int64 [products]. It is random, because the
            order of the data may hint at what was rated.
    """

    data: TrainingSet
    users: Integers
    items: Integers
    rows: npt.NDArray[np.int64]
    ties: npt.NDArray[np.int64]

    @classmethod
    def of(cls, data: TrainingSet, held_out: Ratings) -> "Validation":
        """Use the held-out ratings, or a random sample if there are too many."""
        generator = np.random.default_rng(data.seed)
        products = data.histories.products
        most = max(_SMALLEST_SAMPLE, _MOST_SCORES // products)
        sample = np.sort(generator.permutation(len(held_out))[:most])
        ties = generator.permutation(products)
        return cls(data, held_out.users[sample], held_out.items[sample], sample, ties)

    def measure(self, factors: RankingFactors) -> dict[str, float]:
        """The mean NDCG at several cuts, by name, with each held-out item as the only relevant one.

        An item at place p, counted from 1, has the gain 1 / log2(p + 1), or 0 beyond the cut.
        """
        places = np.concatenate(
            [
                self.places(self.scores(factors, block), block)
                for block in self.blocks(_BLOCK_SCORES)
            ]
        )
        gains = 1 / np.log2(places + 1.0)
        return {f"ndcg_at_{cut}": float(np.where(places <= cut, gains, 0).mean()) for cut in _CUTS}

    def blocks(self, scores: int) -> list[slice]:
        """Parts of the held-out ratings with at most so many scores of all products."""
        step = max(1, scores // self.data.histories.products)
        return [slice(start, start + step) for start in range(0, len(self.users), step)]

    def scores(self, factors: RankingFactors, block: slice) -> Floats:
        """Scores of every product for the customers of a block, float32 [n, products]."""
        return factors.scores(self._vectors(factors, self.users[block]))

    def places(self, scores: Floats, block: slice) -> npt.NDArray[np.int64]:
        """The places, from 1, of the held-out items of a block, int64 [n].

        Scores of products that the customers rated become minus infinity.
        """
        users, items = self.users[block], self.items[block]
        target = scores[np.arange(len(users)), items][:, None]
        scores[self._seen(users)] = -np.inf
        before = self.ties < self.ties[items][:, None]
        places: npt.NDArray[np.int64] = (scores > target).sum(1) + (
            (scores == target) & before
        ).sum(1)
        return places + 1

    def _vectors(self, factors: RankingFactors, users: Integers) -> Floats:
        """The vectors of many customers, as `RankingFactors.customer_vector` defines them."""
        if len(factors.users):
            learned: Floats = factors.users[users]
            return learned
        histories, device = self.data.histories, self.data.device
        rows = histories.before(
            histories.offsets[users],
            histories.offsets[users + 1],
            float(factors.recency[0]),
            device,
        )
        vectors: Floats = nd.sparse.dot(rows, nd.array(factors.histories, ctx=device)).asnumpy()
        return vectors

    def _seen(self, users: Integers) -> tuple[npt.NDArray[np.int64], Integers]:
        """The rows and columns of everything that these customers rated."""
        histories = self.data.histories
        lengths = histories.lengths[users]
        rows = np.arange(len(users)).repeat(lengths)
        within = np.arange(len(rows)) - (lengths.cumsum() - lengths).repeat(lengths)
        return rows, histories.items[histories.offsets[users].repeat(lengths) + within]
