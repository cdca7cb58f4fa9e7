"""What the model, the baselines and the deployed model predict for the same test ratings."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from components.artifacts.model import (
    Floats,
    Integers,
    Model,
    RankingFactors,
    RatingFactors,
    blend,
)
from components.evaluate import baselines
from components.evaluate.champion import AlignedModel
from components.evaluate.data import EvaluationData
from components.evaluate.results import HistoryStatistics, System
from components.evaluate.settings import CHAMPION, MODEL, EvaluateSettings
from components.evaluate.top_lists import LENGTH, best_unseen, histories_of, history_vectors


def run_systems(
    data: EvaluationData, model: Model, champion: AlignedModel | None, settings: EvaluateSettings
) -> tuple[dict[str, System], HistoryStatistics]:
    """Predict the test ratings and rank the catalogue for their customers, with every system.

    Args:
        data: the ratings.
        model: the model to evaluate. Baselines are left out for an objective that it lacks.
        champion: the deployed model, if there is one.
        settings: of the step.

    Returns:
        The systems by name, and statistics of the ratings before the test.
    """
    histories = histories_of(data.history, data.customers, data.products)
    cooccurrences = baselines.count_cooccurrences(baselines.newest(histories))
    stars = _predictions(data, model.rating, champion) if model.rating else {}
    ranking = _Ranking(data, histories, settings)
    lists = ranking.lists(model, champion, cooccurrences) if model.ranking else {}
    disliked = _disliked(lists, data.tested, model.rating) if model.rating else {}
    systems = {
        name: System(stars.get(name), lists.get(name), disliked.get(name))
        for name in {**stars, **lists}
    }
    raters = int((np.diff(histories.indptr) > 0).sum())
    popularity = baselines.counts_by_item(data.history, data.products)
    return systems, HistoryStatistics(popularity, cooccurrences, raters)


def _predictions(
    data: EvaluationData, factors: RatingFactors, champion: AlignedModel | None
) -> Mapping[str, Floats]:
    """The stars that each system predicts for the test ratings, float32 [n], by name."""
    size = (data.customers, data.products)
    predictors: dict[str, baselines.Biases | RatingFactors] = {
        MODEL: factors,
        "global_mean": baselines.global_mean(data.history, *size),
        "item_mean": baselines.item_mean(data.history, *size),
        "bias": baselines.shrunken_bias(data.train, data.validation, *size, data.scale),
    }
    if champion and champion.rating:
        predictors[CHAMPION] = champion.rating
    return {
        name: predictor.predict(data.test.users, data.test.items).clip(*data.scale)
        for name, predictor in predictors.items()
    }


def _disliked(
    lists: Mapping[str, Integers], users: Integers, factors: RatingFactors
) -> dict[str, npt.NDArray[np.bool_]]:
    """`System.disliked` by the name of the system.

    Args:
        lists: of each system.
        users: whose lists they are, int32 [customers].
        factors: of the model's rating.
    """
    owners = users.repeat(LENGTH)
    return {
        name: (factors.predict(owners, items.ravel()) < factors.disliked_below).reshape(items.shape)
        for name, items in lists.items()
    }


class _Ranking:
    """Makes the recommendation lists of every system for the customers in the test."""

    def __init__(
        self, data: EvaluationData, histories: csr_matrix, settings: EvaluateSettings
    ) -> None:
        self._data = data
        self._seen = histories[data.tested]
        self._settings = settings
        # The order of the file may hint at what was rated, so ties are broken at random.
        self._ties = np.random.default_rng(settings.seed).permutation(data.products)

    def lists(
        self, model: Model, champion: AlignedModel | None, cooccurrences: csr_matrix
    ) -> dict[str, Integers]:
        """Lists by the name of the system.

        Args:
            model: the model, which has a ranking.
            champion: the deployed model, if there is one.
            cooccurrences: as `count_cooccurrences` returns them.
        """
        assert model.ranking is not None
        everyone = np.ones(len(self._data.tested), dtype=bool)
        own = self._by_factors(model.ranking, model.rating, everyone)
        lists = {MODEL: own, **self._baselines(cooccurrences)}
        if champion and champion.ranking:
            known = champion.known[self._data.tested]
            lists[CHAMPION] = self._by_factors(champion.ranking, champion.rating, known)
        return lists

    def _by_factors(
        self, factors: RankingFactors, rating: RatingFactors | None, known: npt.NDArray[np.bool_]
    ) -> Integers:
        """Lists by the factors of a model.

        Args:
            factors: of its ranking.
            rating: its own expectation of stars, if it has one.
            known: the tested customers whom it knows, bool [tested].
        """
        if len(factors.users) and known.all():
            vectors = factors.users[self._data.tested]
        else:
            vectors = history_vectors(factors, self._seen)
            if len(factors.users):
                vectors[known] = factors.users[self._data.tested[known]]

        def scores(block: slice) -> Floats:
            table = factors.scores(vectors[block])
            return blend(table, self._data.tested[block], factors, rating)

        return best_unseen(scores, self._seen, self._ties)

    def _baselines(self, cooccurrences: csr_matrix) -> dict[str, Integers]:
        data, settings = self._data, self._settings
        popularity = baselines.counts_by_item(data.history, data.products)
        recent = baselines.counts_since(data.history, settings.recent_days, data.products)
        return {
            "random": baselines.random_lists(self._seen, settings.seed),
            "popularity": baselines.popular_lists([popularity], self._seen, self._ties),
            "recent_popularity": baselines.popular_lists(
                [recent, popularity], self._seen, self._ties
            ),
            "cooccurrence": baselines.cooccurrence_lists(
                cooccurrences, baselines.newest(self._seen), self._seen, self._ties
            ),
        }
