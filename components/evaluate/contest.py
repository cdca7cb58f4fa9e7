"""The model, its baselines and the champion, all asked the same questions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from components.artifacts.model import Floats, Integers, Model, RankingFactors, RatingFactors
from components.artifacts.splits import Ratings
from components.evaluate import baselines
from components.evaluate.champion import Aligned
from components.evaluate.figures import Background, System
from components.evaluate.gate import MODEL
from components.evaluate.settings import CHAMPION, EvaluateSettings
from components.evaluate.top_lists import best_by_factors, histories_of, history_vectors


@dataclass(frozen=True)
class Field:
    """The ratings that the contest is about.

    Attributes:
        train: the ratings to learn from. validation: those to choose by. test: those to judge by.
        customers: how many customers there are. products: how many products.
        scale: the lowest and the highest rating.
    """

    train: Ratings
    validation: Ratings
    test: Ratings
    customers: int
    products: int
    scale: tuple[float, float]

    @cached_property
    def history(self) -> Ratings:
        """All that is known before the test."""
        return self.train.merged_with(self.validation)

    @cached_property
    def tested(self) -> Integers:
        """The user indices in the test, ascending."""
        return np.unique(self.test.users)

    def drawn(self, most: int, seed: int) -> "Field":
        """The same with a test of so many customers at most, drawn at random."""
        if len(self.tested) <= most:
            return self
        chosen = np.random.default_rng(seed).choice(self.tested, most, replace=False)
        return replace(self, test=self.test.where(np.isin(self.test.users, chosen)))


def contestants(
    field: Field, model: Model, champion: Aligned | None, settings: EvaluateSettings
) -> tuple[dict[str, System], Background]:
    """Every system's answers for the test rows and their customers, and what was known before.

    Baselines of an objective that the model does not have are left out.
    """
    histories = histories_of(field.history, field.customers, field.products)
    together = baselines.rated_together(baselines.newest(histories))
    stars = _predictions(field, model.rating, champion) if model.rating else {}
    ranks = _Ranks(field, histories, settings)
    lists = ranks.lists(model.ranking, champion, together) if model.ranking else {}
    systems = {name: System(stars.get(name), lists.get(name)) for name in {**stars, **lists}}
    raters = int((np.diff(histories.indptr) > 0).sum())
    popularity = baselines.counts_by_item(field.history, field.products)
    return systems, Background(popularity, together, raters)


def _predictions(
    field: Field, factors: RatingFactors, champion: Aligned | None
) -> Mapping[str, Floats]:
    size = (field.customers, field.products)
    predictors: dict[str, baselines.Biases | RatingFactors] = {
        MODEL: factors,
        "global_mean": baselines.global_mean(field.history, *size),
        "item_mean": baselines.item_mean(field.history, *size),
        "bias": baselines.shrunken_bias(field.train, field.validation, *size, field.scale),
    }
    if champion and champion.rating:
        predictors[CHAMPION] = champion.rating
    return {
        name: predictor.predict(field.test.users, field.test.items).clip(*field.scale)
        for name, predictor in predictors.items()
    }


class _Ranks:
    """Makes every system's lists for the customers in the test."""

    def __init__(self, field: Field, histories: csr_matrix, settings: EvaluateSettings) -> None:
        self._field = field
        self._seen = histories[field.tested]
        self._settings = settings
        # File order may hint at what was rated, so ties are in an order of chance.
        self._ties = np.random.default_rng(settings.seed).permutation(field.products)

    def lists(
        self, factors: RankingFactors, champion: Aligned | None, together: csr_matrix
    ) -> dict[str, Integers]:
        everyone = np.ones(len(self._field.tested), dtype=bool)
        lists = {MODEL: self._by_factors(factors, everyone), **self._baselines(together)}
        if champion and champion.ranking:
            known = champion.known[self._field.tested]
            lists[CHAMPION] = self._by_factors(champion.ranking, known)
        return lists

    def _by_factors(self, factors: RankingFactors, known: npt.NDArray[np.bool_]) -> Integers:
        if len(factors.users) and known.all():
            vectors = factors.users[self._field.tested]
        else:
            vectors = history_vectors(factors, self._seen)
            if len(factors.users):
                vectors[known] = factors.users[self._field.tested[known]]
        return best_by_factors(vectors, factors, self._seen, self._ties)

    def _baselines(self, together: csr_matrix) -> dict[str, Integers]:
        field, settings = self._field, self._settings
        popularity = baselines.counts_by_item(field.history, field.products)
        recent = baselines.counts_since(field.history, settings.recent_days, field.products)
        return {
            "random": baselines.random_lists(self._seen, settings.seed),
            "popularity": baselines.popular_lists([popularity], self._seen, self._ties),
            "recent_popularity": baselines.popular_lists(
                [recent, popularity], self._seen, self._ties
            ),
            "cooccurrence": baselines.cooccurrence_lists(
                together, baselines.newest(self._seen), self._seen, self._ties
            ),
        }
