"""Find values at an end of the scale that are probably not ratings."""

from collections.abc import Mapping

import numpy as np

MOST_STEPS = 1000
"""Ratings with more values than this have no scale of even steps."""

_FEW = 0.05  # a larger part of the ratings is probably meant
_WIDER = 1.5  # -1 beside stars from 1 to 5 makes a gap twice as wide; rounding varies steps of 0.1


def find_strays(counts: Mapping[float, int]) -> list[float]:
    """Find a few ratings that are separated from the others by the widest gap between values.

    The steps of a scale are even, so such values have another meaning, such as 99 or -1 for a
    missing rating among stars from 1 to 5.

    Args:
        counts: the number of ratings by value; possibly not all if there are more than
            `MOST_STEPS` values.

    Returns:
        Values at one end of the scale, in order; empty if no value stands out.
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
