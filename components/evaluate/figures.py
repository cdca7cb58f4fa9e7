"""Every figure on request: one system, one metric, one scope of the test rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from components.artifacts.evaluation import (
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
"""How many products a person is shown."""
_WEAKEST = 3


@dataclass(frozen=True)
class System:
    """What a model or a baseline answers; None for an objective it does not have.

    Attributes:
        stars: float32 [test rows], predicted.
        lists: int32 [customers in the test, LENGTH], best first, -1 where no product is left.
    """

    stars: Floats | None = None
    lists: Integers | None = None


@dataclass(frozen=True)
class Scope:
    """Which test rows count: those of one slice, those the champion did not learn from, or all."""

    slice: str | None = None
    fresh: bool = False


ALL = Scope()


@dataclass(frozen=True)
class Figure:
    """A metric's value, and its bootstrap resamples where it is a mean over customers."""

    value: float
    draws: Values | None = None


@dataclass(frozen=True)
class Background:
    """What was known before the test.

    Attributes:
        popularity: int64 [products], how often each was rated.
        together: [products, products], how many customers rated both, counts on the diagonal.
        raters: how many customers rated anything.
    """

    popularity: npt.NDArray[np.int64]
    together: csr_matrix
    raters: int


@dataclass(frozen=True)
class JudgedRows:
    """The ratings to judge by, and the ways to cut them.

    Attributes:
        ratings: the test rows.
        slices: masks of the rows, by name.
        fresh: mask of the rows that the champion did not learn from.
    """

    ratings: Ratings
    slices: Mapping[str, Mask]
    fresh: Mask

    @cached_property
    def customers(self) -> Integers:
        """The user indices in the test, ascending."""
        return np.unique(self.ratings.users)

    @cached_property
    def owners(self) -> npt.NDArray[np.int64]:
        """For each row the place of its customer among `customers`."""
        return np.searchsorted(self.customers, self.ratings.users)

    def within(self, scope: Scope) -> Mask:
        """Which rows are in scope."""
        mask = np.ones(len(self.ratings), bool) if scope.slice is None else self.slices[scope.slice]
        return mask & self.fresh if scope.fresh else mask


class Figures:
    """Measures systems on the same test rows, each figure once."""

    def __init__(
        self,
        test: JudgedRows,
        systems: Mapping[str, System],
        background: Background,
        bootstrap: Bootstrap,
    ) -> None:
        self.test = test
        self.systems = systems
        self._background = background
        self._bootstrap = bootstrap
        self._figures: dict[tuple[str, str, Scope], Figure | None] = {}
        self._list_values: dict[tuple[str, str], Values] = {}

    def of(self, system: str, metric: str, scope: Scope = ALL) -> Figure | None:
        """A figure, or None where there is no such system or it has no such objective."""
        key = (system, metric, scope)
        if key not in self._figures:
            self._figures[key] = self._measure(system, metric, self.test.within(scope))
        return self._figures[key]

    def fair(self, system: str, metric: str, name: str | None = None) -> Figure | None:
        """A figure, of a slice or of all, over the rows that the system did not learn from."""
        return self.of(system, metric, Scope(name, fresh=system == CHAMPION))

    def table(self, system: str) -> dict[str, float]:
        """The value of every metric that the system has, over rows that it did not learn from."""
        figures = {metric: self.fair(system, metric) for metric in METRICS}
        return {metric: figure.value for metric, figure in figures.items() if figure}

    def _measure(self, name: str, metric: str, mask: Mask) -> Figure | None:
        system = self.systems.get(name, System())
        if metric in RATING_METRICS:
            return None if system.stars is None else self._rating(system.stars, metric, mask)
        if system.lists is None:
            return None
        if metric in RANKING_METRICS:
            return self._ranking(system.lists, metric, mask)
        return self._listing(name, system.lists, metric, mask)

    def _rating(self, stars: Floats, metric: str, mask: Mask) -> Figure:
        errors = (stars.astype(np.float64) - self.test.ratings.stars)[mask]
        losses = np.abs(errors) if metric == "mae" else np.square(errors)
        figure = self._mean(self._by_customer(mask, losses), self._by_customer(mask))
        if metric == "rmse" and figure.draws is not None:
            return Figure(float(np.sqrt(figure.value)), np.sqrt(figure.draws))
        return figure

    def _ranking(self, lists: Integers, metric: str, mask: Mask) -> Figure:
        kind, cut = metric.split("_at_")
        owners = self.test.owners[mask]
        places = places_of(lists, owners, self.test.ratings.items[mask])
        placements = Placements(owners, places, len(self.test.customers))
        values = metrics.RANKING[kind](placements, int(cut))
        return self._mean(values, np.minimum(placements.relevant, 1))

    def _listing(self, name: str, lists: Integers, metric: str, mask: Mask) -> Figure:
        products = len(self._background.popularity)
        present = self._by_customer(mask) > 0
        shown = lists[:, :LISTED]
        if metric.startswith("coverage"):
            return Figure(metrics.coverage(shown[present], products))
        if metric.startswith("gini"):
            return Figure(metrics.gini(shown[present], products))
        key = (name, metric)
        if key not in self._list_values:
            self._list_values[key] = self._list_value(metric, shown)
        return self._mean(self._list_values[key] * present, present.astype(np.float64))

    def _list_value(self, metric: str, shown: Integers) -> Values:
        if metric.startswith("novelty"):
            return metrics.novelty(shown, self._background.popularity, self._background.raters)
        return metrics.intra_list_similarity(shown, self._background.together)

    def _by_customer(self, mask: Mask, values: Values | None = None) -> Values:
        owners, size = self.test.owners[mask], len(self.test.customers)
        return np.bincount(owners, values, minlength=size).astype(np.float64)

    def _mean(self, sums: Values, counts: Values) -> Figure:
        total = counts.sum()
        value = float(sums.sum() / total) if total else float("nan")
        return Figure(value, self._bootstrap.means(sums, counts))


def weakest_slices(figures: Figures, system: str, metric: str, least: int) -> list[str]:
    """The slices, of `least` rows or more, where a metric is worst; worse than over all rows.

    Slices by outcome are left out: the rarest stars are always the worst predicted.
    """
    whole = figures.of(system, metric)
    if whole is None:
        return []
    sign = -1 if metric in LOWER_IS_BETTER else 1
    values = {
        name: sign * figure.value
        for name in figures.test.slices
        if not is_outcome(name)
        and figures.test.within(Scope(name)).sum() >= least
        and (figure := figures.of(system, metric, Scope(name)))
    }
    weak = [
        name for name in sorted(values, key=values.__getitem__) if values[name] < sign * whole.value
    ]
    return weak[:_WEAKEST]
