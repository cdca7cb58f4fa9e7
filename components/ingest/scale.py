"""Whether ratings at an end of the scale that was found can be meant."""

from collections.abc import Mapping

import numpy as np

MOST_STEPS = 1000
"""What has more values than this is no scale, and its gaps tell nothing."""

_FEW = 0.05  # of one scale, more are hardly a mistake
_WIDER = 1.5  # than the next gap: -1 of stars from 1 to 5 is 2, steps of 0.1 differ by rounding


def find_strays(counts: Mapping[float, int]) -> list[float]:
    """The few ratings that a gap far wider than every other one parts from the rest.

    A scale has even steps, so these stand for something else, as 99 or -1 does among stars from 1
    to 5.

    Args:
        counts: the number of ratings by their value, of more than `MOST_STEPS` values not all.

    Returns:
        Values of one end of the scale, in order; empty where no value stands out.
    """
    values = sorted(counts)
    gaps = np.diff(values)
    if not 2 <= len(gaps) < MOST_STEPS:
        return []
    widest = int(gaps.argmax())
    if gaps[widest] < _WIDER * np.delete(gaps, widest).max():
        return []

    def ratings(some: list[float]) -> int:
        return sum(counts[value] for value in some)

    fewer = min(values[: widest + 1], values[widest + 1 :], key=ratings)
    return fewer if ratings(fewer) < _FEW * ratings(values) else []
