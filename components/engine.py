"""Where a step computes: in its own process, or on the executors of Apache Spark."""

from typing import Literal

from pydantic import BaseModel, Field


class EngineSettings(BaseModel, frozen=True, extra="forbid"):
    """The setting of every step that can run on Spark."""

    engine: Literal["local", "spark"] = Field(
        default="local",
        description="Where to compute. local: on one machine. spark: on Apache Spark, with the "
        "same result; for runs outside of the images, such as make run ENGINE=spark.",
    )
