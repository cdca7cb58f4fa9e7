"""Metrics of systems on the same test ratings, each computed when it is first asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from components.artifacts.evaluation import (
    DISLIKED,
    LIKED,
    LIKED_METRICS,
    LOWER_IS_BETTER,
    METRICS,
    RANKING_METRICS,
    RATING_METRICS,
)
from components.artifacts.model import Floats, Integers
from components.artifacts.splits import Ratings
from components.evaluate import metrics
from components.evaluate.intervals import Bootstrap
from components.evaluate.metrics import Placements, Values
from components.evaluate.settings import CHAMPION
from components.evaluate.slices import Mask, is_outcome
from components.evaluate.top_lists import places_of

LISTED = 10
"""The length of the lists that a person is shown."""
_WEAKEST = 3


@dataclass(frozen=True)
class System:
    """The predictions of one model or baseline; None for an objective that it does not have.

    Attributes:
        stars: the predicted stars of the test ratings, float32 [n].
        lists: the recommended items of the customers in the test, best first, int32 [customers,
            LENGTH]; -1 where no product is left.
        disliked: which places of the lists the model expects to get less than 3 of 5 stars, bool
            [customers, LENGTH]; None if it does not predict stars.
    """

    stars: Floats | None = None
    lists: Integers | None = None
    disliked: Mask | None = None


@dataclass(frozen=True)
class Scope:
    """Which test ratings to measure on: by default all.

    Attributes:
        slice: the name of a slice; None for all ratings.
        held_out: whether to leave out the ratings that the champion was trained on.
    """

    slice: str | None = None
    held_out: bool = False


ALL = Scope()


@dataclass(frozen=True)
class MetricValue:
    """The value of a metric.

    Attributes:
        value: NaN where no rating is in scope.
        resamples: the values of the bootstrap resamples, float64 [resamples]; None for a metric
            that is not a mean over customers.
    """

    value: float
    resamples: Values | None = None


@dataclass(frozen=True)
class HistoryStatistics:
    """Statistics of the ratings before the test.

    Attributes:
        popularity: the number of ratings of each product, int64 [products].
        cooccurrences: as `baselines.count_cooccurrences` returns them.
        raters: the number of customers with ratings.
    """

    popularity: npt.NDArray[np.int64]
    cooccurrences: csr_matrix
    raters: int


@dataclass(frozen=True)
class ScoredRows:
    """The test ratings to measure on, and the slices of them.

    Attributes:
        ratings: the test ratings.
        slices: masks of the ratings, bool [n], by name.
        held_out: mask of the ratings that the champion was not trained on, bool [n].
        liked: mask of the ratings that the customer liked, bool [n].
    """

    ratings: Ratings
    slices: Mapping[str, Mask]
    held_out: Mask
    liked: Mask

    @cached_property
    def customers(self) -> Integers:
        """The users in the test, ascending indices, int32."""
        return np.unique(self.ratings.users)

    @cached_property
    def owners(self) -> npt.NDArray[np.int64]:
        """The position in `customers` of the user of each rating, int64 [n]."""
        return np.searchsorted(self.customers, self.ratings.users)

    def within(self, scope: Scope) -> Mask:
        """The mask of the ratings in scope, bool [n]."""
        mask = np.ones(len(self.ratings), bool) if scope.slice is None else self.slices[scope.slice]
        return mask & self.held_out if scope.held_out else mask

    def judged(self, metric: str, scope: Scope) -> Mask:
        """The mask of the ratings in scope that a metric is over, bool [n]."""
        mask = self.within(scope)
        return mask & self.liked if metric in LIKED_METRICS else mask


class EvaluationResults:
    """Measures systems on the same test ratings, each metric once."""

    def __init__(
        self,
        test: ScoredRows,
        systems: Mapping[str, System],
        statistics: HistoryStatistics,
        bootstrap: Bootstrap,
    ) -> None:
        """Compute nothing yet.

        Args:
            test: the ratings to measure on.
            systems: the predictions of each system, by its name.
            statistics: of the ratings before the test.
            bootstrap: of the customers in the test.
        """
        self.test = test
        self.systems = systems
        self._statistics = statistics
        self._bootstrap = bootstrap
        self._values: dict[tuple[str, str, Scope], MetricValue | None] = {}
        self._list_values: dict[tuple[str, str], Values] = {}

    def of(self, system: str, metric: str, scope: Scope = ALL) -> MetricValue | None:
        """A metric of a system.

        Args:
            system: the name of the system.
            metric: the name of the metric.
            scope: the ratings to measure on.

        Returns:
            None if there is no such system, or it does not have the objective.
        """
        key = (system, metric, scope)
        if key not in self._values:
            self._values[key] = self._measure(system, metric, self.test.judged(metric, scope))
        return self._values[key]

    def held_out(self, system: str, metric: str, part: str | None = None) -> MetricValue | None:
        """A metric of a system on ratings that it was not trained on.

        Args:
            system: the name of the system.
            metric: the name of the metric.
            part: the name of a slice; None for all ratings.
        """
        return self.of(system, metric, Scope(part, held_out=system == CHAMPION))

    def metrics(self, system: str) -> dict[str, float]:
        """Every metric of a system by name, on ratings that it was not trained on."""
        measured = {metric: self.held_out(system, metric) for metric in METRICS}
        return {metric: found.value for metric, found in measured.items() if found}

    def _measure(self, name: str, metric: str, mask: Mask) -> MetricValue | None:
        system = self.systems.get(name, System())
        if metric in RATING_METRICS:
            return None if system.stars is None else self._rating(system.stars, metric, mask)
        if system.lists is None:
            return None
        if metric in RANKING_METRICS + LIKED_METRICS:
            return self._ranking(system.lists, metric.removeprefix(LIKED), mask)
        if metric == DISLIKED and system.disliked is None:
            return None
        return self._listing(name, system, metric, mask)

    def _rating(self, stars: Floats, metric: str, mask: Mask) -> MetricValue:
        errors = (stars.astype(np.float64) - self.test.ratings.stars)[mask]
        losses = np.abs(errors) if metric == "mae" else np.square(errors)
        measured = self._mean(self._by_customer(mask, losses), self._by_customer(mask))
        if metric == "rmse" and measured.resamples is not None:
            return MetricValue(float(np.sqrt(measured.value)), np.sqrt(measured.resamples))
        return measured

    def _ranking(self, lists: Integers, metric: str, mask: Mask) -> MetricValue:
        kind, cut = metric.split("_at_")
        owners = self.test.owners[mask]
        places = places_of(lists, owners, self.test.ratings.items[mask])
        placements = Placements(owners, places, len(self.test.customers))
        values = metrics.RANKING[kind](placements, int(cut))
        return self._mean(values, np.minimum(placements.relevant, 1))

    def _listing(self, name: str, system: System, metric: str, mask: Mask) -> MetricValue:
        assert system.lists is not None
        products = len(self._statistics.popularity)
        present = self._by_customer(mask) > 0
        shown = system.lists[:, :LISTED]
        if metric.startswith("coverage"):
            return MetricValue(metrics.coverage(shown[present], products))
        if metric.startswith("gini"):
            return MetricValue(metrics.gini(shown[present], products))
        key = (name, metric)
        if key not in self._list_values:
            self._list_values[key] = self._list_value(metric, shown, system.disliked)
        return self._mean(self._list_values[key] * present, present.astype(np.float64))

    def _list_value(self, metric: str, shown: Integers, disliked: Mask | None) -> Values:
        if disliked is not None and metric == DISLIKED:
            return metrics.share_listed(disliked[:, :LISTED], shown)
        if metric.startswith("novelty"):
            return metrics.novelty(shown, self._statistics.popularity, self._statistics.raters)
        return metrics.intra_list_similarity(shown, self._statistics.cooccurrences)

    def _by_customer(self, mask: Mask, values: Values | None = None) -> Values:
        owners, size = self.test.owners[mask], len(self.test.customers)
        return np.bincount(owners, values, minlength=size).astype(np.float64)

    def _mean(self, sums: Values, counts: Values) -> MetricValue:
        total = counts.sum()
        value = float(sums.sum() / total) if total else float("nan")
        return MetricValue(value, self._bootstrap.means(sums, counts))


def weakest_slices(
    results: EvaluationResults, system: str, metric: str, min_rows: int
) -> list[str]:
    """The slices where a metric is worst, the worst first, and worse than on all test ratings.

    Slices by the stars given are left out: the rarest stars are always predicted worst.

    Args:
        results: the evaluation.
        system: the name of the system.
        metric: the name of the metric.
        min_rows: the number of ratings that a slice must have.
    """
    whole = results.of(system, metric)
    if whole is None:
        return []
    sign = -1 if metric in LOWER_IS_BETTER else 1
    values = {
        name: sign * measured.value
        for name in results.test.slices
        if not is_outcome(name)
        and results.test.within(Scope(name)).sum() >= min_rows
        and (measured := results.of(system, metric, Scope(name)))
    }
    weak = [
        name for name in sorted(values, key=values.__getitem__) if values[name] < sign * whole.value
    ]
    return weak[:_WEAKEST]
