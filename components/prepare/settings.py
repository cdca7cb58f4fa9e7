"""The settings of the prepare step."""

from typing import Literal

from pydantic import BaseModel, Field


class PrepareSettings(BaseModel, frozen=True, extra="forbid"):
    """Which ratings to keep, and which of them to hold out."""

    min_customer_ratings: int = Field(
        default=5, ge=1, description="Customers with fewer ratings are left out."
    )
    min_product_ratings: int = Field(
        default=10, ge=1, description="Products with fewer ratings are left out."
    )
    fixpoint: bool = Field(
        default=True,
        description="Filter until every customer and product that remains has enough ratings; "
        "otherwise once.",
    )
    deduplicate: Literal["latest", "mean", "first"] = Field(
        default="latest",
        description="What stands for several ratings of one product by one customer: the latest, "
        "the first, or their mean at the latest time.",
    )
    split: Literal["last", "temporal", "random"] = Field(
        default="last",
        description="What to hold out. last: every customer's latest rating to test with, the "
        "one before to validate with. temporal: the latest ratings of all, whose customers may "
        "be new. random: a part of every customer's ratings.",
    )
    test_fraction: float = Field(
        default=0.1,
        gt=0,
        lt=0.5,
        description="The part of the ratings to test with, and as much to validate with, of a "
        "random split, or about as much of a temporal one.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        description="Seed of a random split, and of the order of ratings that a customer gave at "
        "the same time.",
    )
