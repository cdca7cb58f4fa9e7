"""Slices of the test ratings: a good mean must not hide a part that is bad."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from components.artifacts.splits import Ratings

Mask = npt.NDArray[np.bool_]

_OUTCOME = "stars: "
_CATEGORIES = 10
_STARS = 20


def slices_of(
    test: Ratings, history: Ratings, products: int, categories: npt.NDArray[np.object_]
) -> dict[str, Mask]:
    """Masks of the test ratings, bool [n], by name, such as `activity: 5-9`; none is empty.

    Args:
        test: the ratings to slice.
        history: the ratings before the test, from which activity and popularity are counted.
        products: the number of products.
        categories: the category of each product, [products]; "" for none.
    """
    activity = np.bincount(history.users, minlength=int(test.users.max(initial=-1)) + 1)
    popularity = np.bincount(history.items, minlength=products)
    masks = (
        _by_activity(activity[test.users])
        | _by_popularity(popularity, test.items)
        | _by_stars(test.stars)
        | _by_recency(test.days)
        | _by_category(categories[test.items])
    )
    return {name: mask for name, mask in masks.items() if mask.any()}


def is_outcome(name: str) -> bool:
    """Whether a slice is by the stars given, which are not known before the rating.

    Every model is better on stars near its mean prediction and worse on others, so a change in such
    a slice alone says nothing about the model.
    """
    return name.startswith(_OUTCOME)


def _by_activity(ratings: npt.NDArray[np.int64]) -> dict[str, Mask]:
    """By the number of earlier ratings of the customer."""
    edges = [0, 5, 10, 20, 50, 100]
    masks = {
        f"activity: {low}-{high - 1}": (ratings >= low) & (ratings < high)
        for low, high in pairwise(edges)
    }
    return masks | {f"activity: {edges[-1]}+": ratings >= edges[-1]}


def _by_popularity(
    popularity: npt.NDArray[np.int64], items: npt.NDArray[np.int32]
) -> dict[str, Mask]:
    """By the popularity of the product: the top 10 %, the next 40 % and the lower half."""
    places = np.empty(len(popularity))
    places[np.argsort(-popularity, kind="stable")] = np.arange(len(popularity)) / len(popularity)
    of_row = places[items]
    return {
        "popularity: top 10%": of_row < 0.1,
        "popularity: next 40%": (of_row >= 0.1) & (of_row < 0.5),
        "popularity: lower 50%": of_row >= 0.5,
    }


def _by_stars(stars: npt.NDArray[np.float32]) -> dict[str, Mask]:
    """By the stars given, for the most frequent values."""
    values = sorted(_most_frequent(stars, _STARS))
    masks = {f"{_OUTCOME}{value:g}": stars == value for value in values}
    return masks | {f"{_OUTCOME}all others": ~np.isin(stars, values)}


def _by_recency(days: npt.NDArray[np.int32]) -> dict[str, Mask]:
    """By the number of days before the newest test rating."""
    ages = days.max(initial=0) - days
    return {
        "recency: last 30 days": ages < 30,
        "recency: 30-179 days": (ages >= 30) & (ages < 180),
        "recency: 180-364 days": (ages >= 180) & (ages < 365),
        "recency: 365+ days": ages >= 365,
    }


def _by_category(categories: npt.NDArray[np.object_]) -> dict[str, Mask]:
    """By the category of the product, for the most frequent ones; none if there is only one."""
    names = categories.astype(str)
    frequent = _most_frequent(names, _CATEGORIES)
    if len(frequent) < 2:
        return {}
    masks = {f"category: {name or 'none'}": names == name for name in frequent}
    return masks | {"category: all others": ~np.isin(names, frequent)}


def _most_frequent(values: npt.NDArray[Any], most: int) -> list[Any]:
    """The `most` most frequent values, the most frequent first."""
    different, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return [different[place] for place in order]
