"""How well factors rank what customers rated next, over the whole catalogue."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from mxnet import nd

from components.artifacts.model import Floats, Integers, RankingFactors
from components.artifacts.splits import Ratings
from components.train.histories.training_set import TrainingSet

_CUTS = (10, 50)
# Scores to compute for a candidate: a sample of the customers does where that is too many, but
# no smaller one than tells candidates apart.
_MOST_SCORES = 12_500_000
_SMALLEST_SAMPLE = 2_000
_BLOCK_SCORES = 1 << 23


@dataclass(frozen=True)
class Validation:
    """Held-out ratings of customers whose earlier ones were learned from.

    Attributes:
        data: what was learned from; what customers rated in it is not recommended again.
        users: int32 [n]. items: int32 [n], the held-out pairs.
        ties: int64 [products], equal scores are in ascending order of this. It is random: the
            order of the data may hold a hint of what was rated.
    """

    data: TrainingSet
    users: Integers
    items: Integers
    ties: npt.NDArray[np.int64]

    @classmethod
    def of(cls, data: TrainingSet, held_out: Ratings) -> "Validation":
        """The held-out ratings, or a random sample of them where there are very many."""
        generator = np.random.default_rng(data.seed)
        products = data.histories.products
        most = max(_SMALLEST_SAMPLE, _MOST_SCORES // products)
        sample = np.sort(generator.permutation(len(held_out))[:most])
        ties = generator.permutation(products)
        return cls(data, held_out.users[sample], held_out.items[sample], ties)

    def measure(self, factors: RankingFactors) -> dict[str, float]:
        """Mean NDCG of each held-out item alone at several cuts, by name.

        An item at place p, from 1, is worth 1 / log2(p + 1), and nothing beyond the cut.
        """
        step = max(1, _BLOCK_SCORES // self.data.histories.products)
        places = np.concatenate(
            [
                self._places(factors, slice(start, start + step))
                for start in range(0, len(self.users), step)
            ]
        )
        gains = 1 / np.log2(places + 1.0)
        return {f"ndcg_at_{cut}": float(np.where(places <= cut, gains, 0).mean()) for cut in _CUTS}

    def _places(self, factors: RankingFactors, block: slice) -> npt.NDArray[np.int64]:
        users, items = self.users[block], self.items[block]
        scores = factors.scores(self._vectors(factors, users))
        target = scores[np.arange(len(users)), items][:, None]
        scores[self._seen(users)] = -np.inf
        before = self.ties < self.ties[items][:, None]
        places: npt.NDArray[np.int64] = (scores > target).sum(1) + (
            (scores == target) & before
        ).sum(1)
        return places + 1

    def _vectors(self, factors: RankingFactors, users: Integers) -> Floats:
        """`RankingFactors.customer_vector` of many customers."""
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
        """Rows and items of all that these customers rated."""
        histories = self.data.histories
        lengths = histories.lengths[users]
        rows = np.arange(len(users)).repeat(lengths)
        within = np.arange(len(rows)) - (lengths.cumsum() - lengths).repeat(lengths)
        return rows, histories.items[histories.offsets[users].repeat(lengths) + within]
