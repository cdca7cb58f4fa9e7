"""Bootstrap confidence intervals over customers, paired between models."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.evaluate.metrics import Values

# More customers than this are resampled in groups. The spread is the same, because the statistics
# are ratios of sums, and the cost no longer grows.
_GROUPS = 4096


@dataclass(frozen=True)
class Interval:
    """A confidence interval; NaN if it could not be computed."""

    low: float
    high: float


class Bootstrap:
    """Resamples customers with replacement (Efron 1979).

    All means use the same resamples, so the metrics of two models are paired: the differences of
    their resamples give the interval of the difference.
    """

    def __init__(self, customers: int, resamples: int, seed: int) -> None:
        """Draw the resamples.

        Args:
            customers: the number of customers.
            resamples: the number of resamples.
            seed: of the random draw.
        """
        generator = np.random.default_rng(seed)
        self._groups = generator.permutation(customers) % _GROUPS
        self._count = min(customers, _GROUPS)
        sampled = generator.integers(self._count, size=(resamples, self._count))
        sampled += np.arange(resamples)[:, None] * self._count
        counts = np.bincount(sampled.ravel(), minlength=resamples * self._count)
        self._weights = counts.reshape(resamples, self._count).astype(np.float64)

    def means(self, sums: Values, counts: Values) -> Values:
        """The mean in each resample, float64 [resamples]; NaN if the resample has no values.

        Args:
            sums: the sum of the values of each customer, float64 [customers].
            counts: the number of the values of each customer, float64 [customers].
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Values = self._resampled(sums) / self._resampled(counts)
        return means

    def _resampled(self, values: Values) -> Values:
        return self._weights @ np.bincount(self._groups, values, minlength=self._count)


def interval(resamples: npt.ArrayLike, confidence: float) -> Interval:
    """The percentile interval of resampled values."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.asarray(resamples), [tail, 1 - tail])
    return Interval(float(low), float(high))
