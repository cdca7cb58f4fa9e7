"""What a user can set for the evaluation step, the gate's checks included."""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from components.artifacts.evaluation import BASELINES, METRICS

CHAMPION = "champion"

Degeneracy = Literal[
    "constant_stars", "short_catalogue", "near_zero_error", "strong_random_ranking"
]
"""What makes data degenerate, so that good figures mean nothing."""

Comparison = Literal["better", "not_worse", "not_fallen", "at_least", "at_most"]


class CheckSettings(BaseModel, frozen=True, extra="forbid"):
    """One check of the gate, declared as data.

    `better`, `not_worse` and `not_fallen` compare with a rival on the same test rows and judge by
    the confidence interval of the difference; `at_least` and `at_most` compare with a number.
    """

    metric: str = Field(description="Name of the metric, such as ndcg_at_10.")
    comparison: Comparison = Field(
        description=(
            "better: beats the rival by more than the margin, beyond doubt. not_worse: falls "
            "short of it by no more than the margin, beyond doubt. not_fallen: unless it falls "
            "short by more than the margin and not by chance. at_least, at_most: a threshold."
        )
    )
    rival: str | None = Field(default=None, description="A baseline's name, or champion.")
    threshold: float | None = Field(default=None, description="For at_least and at_most.")
    margin: float = Field(default=0.0, ge=0, description="A fraction of the rival's figure.")
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
            if self.threshold is None or self.rival is not None:
                raise ValueError(f"{self.comparison} needs a threshold and no rival")
        elif self.threshold is not None or self.rival not in (*BASELINES, CHAMPION):
            raise ValueError(
                f"{self.comparison} needs no threshold but a rival: {', '.join(BASELINES)} "
                f"or {CHAMPION}"
            )
        return self


class EvaluateSettings(BaseModel, frozen=True, extra="forbid"):
    """How a model is measured and what it must reach."""

    champion: str = Field(
        default="",
        description="Folder or s3:// URI of the bundle store whose current model is to be "
        "matched; empty for none.",
    )
    gate: tuple[CheckSettings, ...] = Field(
        default=(),
        description="Checks that a model must pass, as a JSON list of objects with metric, "
        "comparison (better, not_worse, not_fallen, at_least, at_most), rival or threshold, "
        "margin and slice; empty for the built-in checks. Leakage alarms, the checks for "
        "degenerate data and the least number of test ratings always apply.",
    )
    allow: tuple[Degeneracy, ...] = Field(
        default=(),
        description="Names of degenerate data that are noted instead of refused: constant_stars "
        "(all ratings are equal), short_catalogue (a list of 10 shows every product), "
        "near_zero_error (RMSE below 5 % of the scale), strong_random_ranking (NDCG@10 of random "
        "lists above 0.2).",
    )
    replace_catalogue: bool = Field(
        default=False,
        description="Replace a deployed model that knows none of these products, with which no "
        "comparison is possible.",
    )
    max_test_customers: int = Field(
        default=100_000,
        ge=1,
        description="Of more test customers so many are drawn at random, which bounds the time "
        "that lists for all of them would take.",
    )
    min_test_rows: int = Field(
        default=100, ge=1, description="Fewer test ratings than this are not enough evidence."
    )
    min_slice_rows: int = Field(
        default=50, ge=1, description="Smaller slices of the test ratings are not judged."
    )
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="Confidence level of the intervals."
    )
    resamples: int = Field(
        default=1000, ge=100, description="Bootstrap resamples of the customers."
    )
    recent_days: int = Field(
        default=90, ge=1, description="Days that the recent popularity baseline looks back."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the draw, the resamples and ties.")
