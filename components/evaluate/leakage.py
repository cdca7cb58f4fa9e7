"""Checks for leakage and damage, which would make all metrics worthless."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from components.artifacts.evaluation import Check
from components.artifacts.model import Model
from components.artifacts.splits import Ratings

# The largest difference, in stars, that rounding to float32 explains.
_PROBE_TOLERANCE = 1e-3


def within(ratings: Ratings, customers: int, products: int) -> npt.NDArray[np.bool_]:
    """The mask of the ratings whose indices are in range, bool [n].

    Args:
        ratings: the ratings.
        customers: the number of customers.
        products: the number of products.
    """
    users = (ratings.users >= 0) & (ratings.users < customers)
    items = (ratings.items >= 0) & (ratings.items < products)
    found: npt.NDArray[np.bool_] = users & items
    return found


def out_of_range(sets: Mapping[str, Ratings], customers: int, products: int) -> Check:
    """Check that all indices are in range.

    Args:
        sets: the ratings of each split, by its name.
        customers: the number of customers.
        products: the number of products.
    """
    wrong = {name: int((~within(rows, customers, products)).sum()) for name, rows in sets.items()}
    return _check("ids in range", wrong, "with an id out of range", "no id is out of range")


def in_two_sets(sets: Mapping[str, Ratings], products: int) -> Check:
    """Check that no pair of customer and product is in two of the splits, given by name."""
    keys = {
        name: rows.users.astype(np.int64) * products + rows.items for name, rows in sets.items()
    }
    names = list(keys)
    wrong = {
        f"{later} and {earlier}": int(np.isin(keys[later], keys[earlier]).sum())
        for place, later in enumerate(names)
        for earlier in names[:place]
    }
    return _check("no pair in two sets", wrong, "in both", "no pair is in two sets")


def older_than_history(test: Ratings, history: Ratings, customers: int) -> Check:
    """Check that no test rating is older than a training rating of the same customer.

    Args:
        test: the test ratings.
        history: the ratings of training and validation.
        customers: the number of customers.
    """
    newest = np.full(customers, np.iinfo(np.int64).min)
    np.maximum.at(newest, history.users, history.instants)
    wrong = {"test": int((test.instants < newest[test.users]).sum())}
    fine = "no customer's test rating is older than their training ratings"
    if tied := int((test.instants == newest[test.users]).sum()):
        fine += f"; {tied} of {len(test)} are as old as the newest of these: the seed chose them"
    return _check(
        "no test rating older than training",
        wrong,
        "older than a training rating of the same customer",
        fine,
    )


def unfinite(model: Model) -> Check:
    """Check that no factor is NaN or infinite."""
    wrong = {
        f"{objective}.{field.name}": int((~np.isfinite(getattr(factors, field.name))).sum())
        for objective, factors in (("rating", model.rating), ("ranking", model.ranking))
        if factors is not None
        for field in fields(factors)
    }
    return _check("finite factors", wrong, "not finite", "every factor is a finite number")


def disagreeing_export(model: Model, probes: Mapping[str, Any]) -> Check:
    """Check that the exported factors predict the same stars as the trained model did.

    Args:
        model: the exported model.
        probes: `users` and `items`, indices, and `stars`, the predictions of the trained model.
    """
    name = "export agrees with the trained network"
    if model.rating is None:
        return Check(name, False, None, None, "The probes have stars, the export has no rating.")
    users = np.asarray(probes["users"], dtype=np.int32)
    items = np.asarray(probes["items"], dtype=np.int32)
    differences = np.abs(model.rating.predict(users, items) - np.asarray(probes["stars"]))
    largest = float(differences.max(initial=0))
    return Check(
        name,
        largest <= _PROBE_TOLERANCE,
        largest,
        _PROBE_TOLERANCE,
        f"The export's predictions differ from the trained network's by at most {largest:.2g} "
        f"stars in {len(users)} probes.",
    )


def _check(name: str, wrong: Mapping[str, int], what: str, fine: str) -> Check:
    count = sum(wrong.values())
    where = ", ".join(f"{number} in {place}" for place, number in wrong.items() if number)
    reason = f"Leakage: {count} {what} ({where})." if count else f"{fine.capitalize()}."
    return Check(name, count == 0, float(count), 0.0, reason)
