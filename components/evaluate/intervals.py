"""Bootstrap confidence intervals over customers, paired between models."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.evaluate.metrics import Values

# With more customers than this, whole groups of them are resampled: the same spread, for the
# statistics are ratios of sums, at a cost that no longer grows.
_GROUPS = 4096


@dataclass(frozen=True)
class Interval:
    """Where a figure lies at a level of confidence; NaN where nothing could be computed."""

    low: float
    high: float


class Bootstrap:
    """Resamples customers with replacement (Efron 1979), each time the same ones.

    Figures of two models that come from one `Bootstrap` are paired: their difference, resample by
    resample, is spread as the difference is and not as the figures are.
    """

    def __init__(self, customers: int, resamples: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self._groups = generator.permutation(customers) % _GROUPS
        self._count = min(customers, _GROUPS)
        drawn = generator.integers(self._count, size=(resamples, self._count))
        drawn += np.arange(resamples)[:, None] * self._count
        counts = np.bincount(drawn.ravel(), minlength=resamples * self._count)
        self._weights = counts.reshape(resamples, self._count).astype(np.float64)

    def means(self, sums: Values, counts: Values) -> Values:
        """The resampled means, [resamples]; NaN in a resample that drew nothing.

        Args:
            sums: [customers], the sum of a customer's values.
            counts: [customers], how many values those are.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Values = self._resampled(sums) / self._resampled(counts)
        return means

    def _resampled(self, values: Values) -> Values:
        return self._weights @ np.bincount(self._groups, values, minlength=self._count)


def interval(draws: npt.ArrayLike, confidence: float) -> Interval:
    """The percentile interval of resampled figures."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.asarray(draws), [tail, 1 - tail])
    return Interval(float(low), float(high))
