"""The ratings that an evaluation works with, by split."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from components.artifacts.model import Integers
from components.artifacts.splits import Ratings, Splits
from components.errors import UserError
from components.evaluate.leakage import within


@dataclass(frozen=True)
class EvaluationData:
    """The ratings of all splits, and how many users and items there are.

    Attributes:
        train: the ratings to learn from.
        validation: the ratings to choose settings by.
        test: the ratings to measure with.
        customers: the number of customers.
        products: the number of products.
        scale: the lowest and the highest rating.
    """

    train: Ratings
    validation: Ratings
    test: Ratings
    customers: int
    products: int
    scale: tuple[float, float]

    @classmethod
    def of(cls, splits: Splits) -> "EvaluationData":
        """The ratings whose indices are in the tables of customers and products.

        Raises:
            UserError: if the test split has no such rating.
        """
        size = len(splits.customers), len(splits.products)
        train, validation, test = (
            ratings.where(within(ratings, *size))
            for ratings in (splits.train, splits.validation, splits.test)
        )
        if not len(test):
            raise UserError(f"{splits.path} has no test ratings of known ids: run prepare again")
        return cls(train, validation, test, *size, splits.scale)

    @cached_property
    def history(self) -> Ratings:
        """All ratings before the test: those of training and validation."""
        return self.train.merged_with(self.validation)

    @cached_property
    def tested(self) -> Integers:
        """The users with test ratings, ascending indices, int32."""
        return np.unique(self.test.users)

    def sampled(self, most: int, seed: int) -> "EvaluationData":
        """The same data with the test ratings of at most `most` customers, chosen at random."""
        if len(self.tested) <= most:
            return self
        chosen = np.random.default_rng(seed).choice(self.tested, most, replace=False)
        return replace(self, test=self.test.where(np.isin(self.test.users, chosen)))
