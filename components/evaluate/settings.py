"""The settings of the evaluation step, and the checks of the gate."""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from components.artifacts.evaluation import BASELINES, METRICS

MODEL = "model"
CHAMPION = "champion"

Degeneracy = Literal[
    "constant_stars", "short_catalogue", "near_zero_error", "strong_random_ranking"
]
"""Kinds of degenerate data, for which good metrics mean nothing."""

Comparison = Literal["better", "not_worse", "not_fallen", "at_least", "at_most"]


class CheckSettings(BaseModel, frozen=True, extra="forbid"):
    """One check of the gate, declared as data.

    `better`, `not_worse` and `not_fallen` compare the model with a baseline on the same test
    ratings, by the confidence interval of the difference. `at_least` and `at_most` compare it with
    a number.
    """

    metric: str = Field(description="Name of the metric, such as ndcg_at_10.")
    comparison: Comparison = Field(
        description=(
            "better: certainly better than the baseline, by more than the margin. not_worse: "
            "certainly not worse by more than the margin. not_fallen: fails only if it is worse by "
            "more than the margin and not by chance. at_least, at_most: compare with a threshold."
        )
    )
    baseline: str | None = Field(
        default=None, description="Name of the system to compare with: a baseline, or champion."
    )
    threshold: float | None = Field(default=None, description="For at_least and at_most.")
    margin: float = Field(default=0.0, ge=0, description="A fraction of the baseline's metric.")
    slice: str | None = Field(
        default=None,
        description="Name of a slice of the test rows; * means every slice but those by the "
        "stars given.",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.metric not in METRICS:
            raise ValueError(f"no metric {self.metric!r}: choose from {', '.join(METRICS)}")
        if self.comparison in ("at_least", "at_most"):
            if self.threshold is None or self.baseline is not None:
                raise ValueError(f"{self.comparison} needs a threshold and no baseline")
        elif self.threshold is not None or self.baseline not in (*BASELINES, CHAMPION):
            raise ValueError(
                f"{self.comparison} needs no threshold but a baseline: {', '.join(BASELINES)} "
                f"or {CHAMPION}"
            )
        return self


class EvaluateSettings(BaseModel, frozen=True, extra="forbid"):
    """How a model is measured and what it must reach."""

    champion: str = Field(
        default="",
        description="Folder or s3:// URI of the bundle store whose current model to compare with; "
        "empty for none.",
    )
    gate: tuple[CheckSettings, ...] = Field(
        default=(),
        description="Checks that a model must pass, as a JSON list of objects with metric, "
        "comparison (better, not_worse, not_fallen, at_least, at_most), baseline or threshold, "
        "margin and slice; empty for the built-in checks. The checks for leakage, for degenerate "
        "data and for the minimum number of test ratings always apply.",
    )
    allow: tuple[Degeneracy, ...] = Field(
        default=(),
        description="Kinds of degenerate data to note instead of refuse: constant_stars "
        "(all ratings are equal), short_catalogue (a list of 10 shows every product), "
        "near_zero_error (RMSE below 5 % of the scale), strong_random_ranking (NDCG@10 of random "
        "lists above 0.2).",
    )
    replace_catalogue: bool = Field(
        default=False,
        description="Replace a deployed model that knows none of these products, so that it "
        "cannot be compared with.",
    )
    max_test_customers: int = Field(
        default=100_000,
        ge=1,
        description="Most customers to evaluate; if there are more, they are sampled at random, "
        "which limits the time of the step.",
    )
    min_test_rows: int = Field(
        default=100, ge=1, description="Fewest test ratings that are enough evidence."
    )
    min_slice_rows: int = Field(
        default=50, ge=1, description="Fewest test ratings of a slice that is checked."
    )
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="Confidence level of the intervals."
    )
    resamples: int = Field(
        default=1000, ge=100, description="Number of bootstrap resamples of the customers."
    )
    liked_stars: float = Field(
        default=0,
        description="Fewest stars with which a customer says that they liked a product, for the "
        "metrics of liked ratings; 0 for the mean of the customer's earlier ratings.",
    )
    recent_days: int = Field(
        default=90, ge=1, description="Days that the baseline recent_popularity counts."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the draw, the resamples and ties.")
