"""Popularity: the same products for everyone, those with the most ratings first."""

import numpy as np

from components.artifacts.model import RankingFactors
from components.train.histories.training_set import TrainingSet
from components.train.ranking.settings import Parameters, RankingSettings
from components.train.sizes import Size

# The scale of the counts of all time, which only order products with equal recent counts.
_ALL_TIME = 1e-3


class Popularity:
    """Counts the ratings of each product."""

    days = (0, 7, 30, 90, 365)

    def __init__(self, data: TrainingSet) -> None:
        self._data = data

    @classmethod
    def candidates(cls, settings: RankingSettings) -> list[Parameters]:  # noqa: ARG003
        """The parameters to try."""
        return [{"days": days} for days in cls.days]

    @classmethod
    def size(cls, products: int, parameters: Parameters) -> Size:  # noqa: ARG003
        """Its largest array: the counts."""
        return Size("products", products, 1)

    def fit(self, days: int) -> RankingFactors:
        """Count the ratings of the latest days, or all ratings if `days` is 0."""
        histories = self._data.histories
        counts = histories.popularity.astype(np.float32)
        if days:
            recent = histories.days > histories.days.max(initial=0) - days
            counts *= _ALL_TIME / max(1.0, counts.max())
            counts += np.bincount(histories.items[recent], minlength=histories.products)
        return RankingFactors(
            items=np.zeros((histories.products, 0), np.float32),
            item_biases=counts.astype(np.float32),
            histories=np.zeros((histories.products, 0), np.float32),
            recency=np.ones(1, np.float32),
            window=np.ones(1, np.int32),
            users=np.zeros((histories.customers, 0), np.float32),
        )
