"""What a user can set for the deployment step."""

from typing import Literal

from pydantic import BaseModel, Field


class DeploySettings(BaseModel, frozen=True, extra="forbid"):
    """Where a model goes, and what it must show before it is the current one."""

    target: Literal["local"] = Field(
        default="local",
        description="What serves the model. local: whatever reads the store, such as the server "
        "that watches its current bundle.",
    )
    destination: str = Field(
        default="runs/endpoint",
        min_length=1,
        description="The bundle store: a folder, or s3://bucket/prefix.",
    )
    precompute_top_n: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Compute this many recommendations for every customer ahead; 0 for none.",
    )
    smoke_seconds: float = Field(
        default=60,
        gt=0,
        description="Longest time for the new bundle to be served and to answer its golden "
        "requests.",
    )
