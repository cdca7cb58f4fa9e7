"""The settings of the search."""

import math
from typing import Literal

from pydantic import BaseModel, Field


class TuneSettings(BaseModel, frozen=True, extra="forbid"):
    """What to tune, and how much the search may take."""

    objective: Literal["rating", "ranking"] = Field(
        default="ranking",
        description="What to tune: rating (predict stars) or ranking (order products).",
    )
    trials: int = Field(default=16, ge=1, description="Most trials.")
    minutes: float = Field(
        default=0.0,
        ge=0,
        description="No batch of trials starts after this many minutes; 0 for no limit.",
    )
    batch: int = Field(default=4, ge=1, description="Trials that run at the same time.")

    @property
    def rounds(self) -> int:
        """The number of batches for all trials."""
        return math.ceil(self.trials / self.batch)
