"""Cuts the test ratings into slices, so that a good mean cannot hide a bad part."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from components.artifacts.splits import Ratings

Mask = npt.NDArray[np.bool_]

_CATEGORIES = 10


def slices_of(
    test: Ratings, history: Ratings, products: int, categories: npt.NDArray[np.object_]
) -> dict[str, Mask]:
    """Masks of the test rows by name, such as `activity: 5-9`; empty slices are left out.

    Args:
        test: the rows to cut.
        history: the ratings before the test, which say how active and how popular.
        products: how many products there are.
        categories: [products], the name of each product's category; "" for none.
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


def _by_activity(ratings: npt.NDArray[np.int64]) -> dict[str, Mask]:
    """By how many ratings the customer gave before."""
    edges = [0, 5, 10, 20, 50, 100]
    masks = {
        f"activity: {low}-{high - 1}": (ratings >= low) & (ratings < high)
        for low, high in pairwise(edges)
    }
    return masks | {f"activity: {edges[-1]}+": ratings >= edges[-1]}


def _by_popularity(
    popularity: npt.NDArray[np.int64], items: npt.NDArray[np.int32]
) -> dict[str, Mask]:
    """By the product's place in the order of popularity: top tenth, next four, lower half."""
    places = np.empty(len(popularity))
    places[np.argsort(-popularity, kind="stable")] = np.arange(len(popularity)) / len(popularity)
    of_row = places[items]
    return {
        "popularity: top 10%": of_row < 0.1,
        "popularity: next 40%": (of_row >= 0.1) & (of_row < 0.5),
        "popularity: lower 50%": of_row >= 0.5,
    }


def _by_stars(stars: npt.NDArray[np.float32]) -> dict[str, Mask]:
    """By the stars given, halves rounded to the even neighbour."""
    rounded = np.rint(stars)
    return {f"stars: {star:g}": rounded == star for star in np.unique(rounded)}


def _by_recency(days: npt.NDArray[np.int32]) -> dict[str, Mask]:
    """By how long before the newest test rating it was given."""
    ages = days.max(initial=0) - days
    return {
        "recency: last 30 days": ages < 30,
        "recency: 30-179 days": (ages >= 30) & (ages < 180),
        "recency: 180-364 days": (ages >= 180) & (ages < 365),
        "recency: 365+ days": ages >= 365,
    }


def _by_category(categories: npt.NDArray[np.object_]) -> dict[str, Mask]:
    """By the product's category, the most frequent ones; nothing where there is only one."""
    names, counts = np.unique(categories.astype(str), return_counts=True)
    if len(names) < 2:
        return {}
    frequent = [str(names[index]) for index in np.argsort(-counts, kind="stable")[:_CATEGORIES]]
    masks = {f"category: {name or 'none'}": categories == name for name in frequent}
    return masks | {"category: all others": ~np.isin(categories.astype(str), frequent)}
