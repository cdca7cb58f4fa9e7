"""The settings of the prepare step."""

from typing import Literal

from pydantic import Field

from components.engine import EngineSettings


class PrepareSettings(EngineSettings, frozen=True, extra="forbid"):
    """Which ratings to keep, and which of them to hold out."""

    min_customer_ratings: int = Field(
        default=5, ge=1, description="Customers with fewer ratings are left out."
    )
    min_product_ratings: int = Field(
        default=10, ge=1, description="Products with fewer ratings are left out."
    )
    fixpoint: bool = Field(
        default=True,
        description="Repeat the filter until all remaining customers and products have enough "
        "ratings; otherwise filter once.",
    )
    deduplicate: Literal["latest", "mean", "first"] = Field(
        default="latest",
        description="Which rating to keep if a customer rated a product several times: the "
        "latest, the first, or their mean at the latest time.",
    )
    split: Literal["last", "temporal", "random"] = Field(
        default="last",
        description="What to hold out. last: every customer's latest rating for testing, the one "
        "before it for validation. temporal: the latest ratings of all customers, some of whom may "
        "be new. random: a part of every customer's ratings.",
    )
    test_fraction: float = Field(
        default=0.1,
        gt=0,
        lt=0.5,
        description="Fraction of the ratings for testing, and the same for validation, in a "
        "random split; approximately in a temporal one.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        description="Seed of a random split, and of the order of a customer's ratings at the same "
        "time.",
    )
