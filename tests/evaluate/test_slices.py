"""Slices cut the test rows by what is known of them."""

import numpy as np

from components.evaluate.slices import slices_of
from tests.evaluate.worlds import make_sets, to_ratings

CATEGORIES = np.array(["Strings", "", "Strings", "Reeds"], dtype=object)


def test_each_kind_of_slice_holds_every_row_once() -> None:
    train, _, test = make_sets(100, 40, 0)
    categories = np.array([f"Category {item % 14}" for item in range(40)], dtype=object)
    masks = slices_of(test, train, 40, categories)
    for kind in ("activity", "popularity", "stars", "recency", "category"):
        of_kind = [mask for name, mask in masks.items() if name.startswith(f"{kind}: ")]
        assert len(of_kind) > (0 if kind == "activity" else 1)
        assert (np.sum(of_kind, axis=0) == 1).all()


def test_rows_fall_where_their_customer_product_and_day_belong() -> None:
    history = to_ratings([[0] * 6 + [1], [0, 0, 0, 1, 1, 2, 0], [3] * 7, [1] * 7])
    test = to_ratings([[0, 1], [0, 3], [5, 4.5], [1000, 990]])
    masks = slices_of(test, history, 4, CATEGORIES)
    found = {name: mask.tolist() for name, mask in masks.items()}
    assert found == {
        "activity: 5-9": [True, False],
        "activity: 0-4": [False, True],
        "popularity: top 10%": [True, False],
        "popularity: lower 50%": [False, True],
        "stars: 5": [True, False],
        "stars: 4": [False, True],
        "recency: last 30 days": [True, True],
        "category: Strings": [True, False],
        "category: Reeds": [False, True],
    }


def test_a_customer_without_history_is_the_least_active() -> None:
    history = to_ratings([[0], [0], [3], [1]])
    test = to_ratings([[7], [1], [3], [2]])
    assert slices_of(test, history, 4, CATEGORIES)["activity: 0-4"].tolist() == [True]
