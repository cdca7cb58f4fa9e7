"""Example customers: what they liked, what is recommended to them, and what they rated next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.artifacts.splits import Ratings
from components.evaluate.inputs import Inputs
from components.evaluate.results import EvaluationResults
from components.evaluate.settings import MODEL

_CUSTOMERS = 10
_SHOWN = 5


@dataclass(frozen=True)
class Product:
    """A product of an example.

    Attributes:
        title: its title, or its id if it has none.
        stars: the stars given or predicted; None if there are none.
        hit: whether it was recommended and then rated.
    """

    title: str
    stars: float | None
    hit: bool = False


@dataclass(frozen=True)
class Example:
    """A customer with their best rated, recommended and test products.

    Attributes:
        customer: the id.
        liked: the products rated best before the test.
        recommended: the first products recommended, with predicted stars.
        taken: the products of the test ratings.
    """

    customer: str
    liked: Sequence[Product]
    recommended: Sequence[Product]
    taken: Sequence[Product]


def examples(inputs: Inputs, results: EvaluationResults, seed: int) -> list[Example]:
    """Ten customers of the test, chosen at random; none if the model does not rank.

    Args:
        inputs: the artifacts.
        results: the evaluation.
        seed: of the random choice.
    """
    if inputs.model.ranking is None:
        return []
    tested = results.test.customers
    generator = np.random.default_rng(seed)
    places = np.sort(generator.choice(len(tested), min(_CUSTOMERS, len(tested)), replace=False))
    history = inputs.splits.train.merged_with(inputs.splits.validation)
    return [_example(inputs, results, history, int(place)) for place in places]


def _example(inputs: Inputs, results: EvaluationResults, history: Ratings, place: int) -> Example:
    user = int(results.test.customers[place])
    test = results.test.ratings
    known, tested = history.where(history.users == user), test.where(test.users == user)
    liked = np.argsort(-known.stars[::-1], kind="stable")[:_SHOWN]
    lists = results.systems[MODEL].lists
    listed = [] if lists is None else [int(item) for item in lists[place] if item >= 0][:_SHOWN]
    items, stars = known.items[::-1][liked], known.stars[::-1][liked]
    return Example(
        customer=inputs.splits.customers["customer_id"][user].as_py(),
        liked=[_product(inputs, *pair) for pair in zip(items, stars, strict=True)],
        recommended=[
            _product(inputs, item, _predicted(inputs, user, item), item in tested.items)
            for item in listed
        ],
        taken=[
            _product(inputs, item, given, item in listed)
            for item, given in zip(tested.items[:_SHOWN], tested.stars, strict=False)
        ],
    )


def _product(inputs: Inputs, item: int, stars: float | None, hit: bool = False) -> Product:
    row = inputs.splits.products.slice(int(item), 1).to_pylist()[0]
    return Product(row["product_title"] or row["product_id"], stars, hit)


def _predicted(inputs: Inputs, user: int, item: int) -> float | None:
    rating = inputs.model.rating
    if rating is None:
        return None
    return float(rating.predict(np.array([user], np.int32), np.array([item], np.int32))[0])
