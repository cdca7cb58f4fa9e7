"""The settings of the ranking."""

from collections.abc import Iterable
from itertools import product
from typing import Literal

from pydantic import BaseModel, Field

Parameters = dict[str, float]
"""Parameters of a model's `fit`, by name."""

# The widest vectors are divided by these: on a small catalogue wide vectors overfit.
_SHARES = (1, 2, 4)


class RankingSettings(BaseModel, frozen=True, extra="forbid"):
    """Which ranking models to try, and with which parameters."""

    ranking_model: Literal["auto", "ridge", "autoencoder", "als", "popularity"] = Field(
        default="auto",
        description="What orders products. ridge: the next product from the latest ones. "
        "autoencoder: a product from the others of its customer, in any order. als: implicit "
        "matrix factorization. popularity: the same for everyone. auto: the best of these on the "
        "validation ratings.",
    )
    ranking_dimensions: int = Field(
        default=256,
        ge=1,
        description="Width of the widest vectors to try. ridge and autoencoder also try half and a "
        "quarter of it; als tries this width only, and at most 32.",
    )
    ranking_recency: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Weight of a customer's rating relative to the next newer one; 0 chooses it "
        "on the validation ratings.",
    )
    ranking_regularization: float = Field(
        default=0,
        ge=0,
        description="Strength of the regularization, on the model's own scale; 0 chooses it on "
        "the validation ratings.",
    )
    max_disliked: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Largest share of the first ten places of lists that may go to products "
        "expected to get less than 3 of 5 stars. The weight of expected stars in lists is chosen "
        "for it on the validation ratings; 1 leaves expected stars out.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of everything that is random.")

    @property
    def widths(self) -> list[int]:
        """The widths of vectors to try, ascending."""
        return sorted({max(1, self.ranking_dimensions // share) for share in _SHARES})

    def choices(self, **candidates: Iterable[float]) -> list[Parameters]:
        """All combinations of the candidates; a setting that is not 0 replaces its candidates.

        The first parameter changes most slowly.
        """
        given = {
            "recency": self.ranking_recency,
            "regularization": self.ranking_regularization,
        }
        tried = [
            [given[name]] if given.get(name) else values for name, values in candidates.items()
        ]
        return [dict(zip(candidates, values, strict=True)) for values in product(*tried)]
