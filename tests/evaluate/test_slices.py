"""Slices cut the test rows by what is known of them."""

import numpy as np

from components.evaluate.slices import is_outcome, slices_of
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
        "stars: 4.5": [False, True],
        "recency: last 30 days": [True, True],
        "category: Strings": [True, False],
        "category: Reeds": [False, True],
    }


def test_a_customer_without_history_is_the_least_active() -> None:
    history = to_ratings([[0], [0], [3], [1]])
    test = to_ratings([[7], [1], [3], [2]])
    assert slices_of(test, history, 4, CATEGORIES)["activity: 0-4"].tolist() == [True]


def test_each_value_of_the_scale_has_a_slice_and_many_values_share_one() -> None:
    def rows_by_stars(stars: np.ndarray) -> dict[str, int]:  # type: ignore[type-arg]
        count = len(stars)
        test = to_ratings([np.arange(count), np.zeros(count), stars, np.ones(count)])
        masks = slices_of(test, test, 1, CATEGORIES)
        return {name: int(mask.sum()) for name, mask in masks.items() if is_outcome(name)}

    halves = np.repeat(np.arange(0.5, 5.5, 0.5), 2)
    assert rows_by_stars(halves) == {f"stars: {value:g}": 2 for value in np.unique(halves)}
    percent = np.append(np.arange(100), np.arange(20))
    assert rows_by_stars(percent) == {
        **{f"stars: {value}": 2 for value in range(20)},
        "stars: all others": 80,
    }
