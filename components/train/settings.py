"""The settings of the training step."""

from typing import Literal, Self

from pydantic import Field, model_validator

from components.train.ranking.settings import RankingSettings

OBJECTIVES = ("rating", "ranking")


class RatingSettings(RankingSettings, frozen=True, extra="forbid"):
    """Which models of the stars to try, and how to learn them."""

    rating_model: Literal["auto", "bayes", "mf", "mlp"] = Field(
        default="auto",
        description="What predicts stars. bayes: Bayesian matrix factorization with biases. mf: "
        "matrix factorization with biases by gradient descent, for the largest data. mlp: "
        "embeddings, a dense layer, ReLU and dropout on each side, slower and less exact. auto: "
        "bayes or mf, whichever is better on the validation ratings.",
    )
    num_embeddings: int = Field(
        default=64, ge=1, le=4096, description="Width of the embeddings of mf and mlp."
    )
    epochs: int = Field(
        default=20, ge=1, description="Most epochs of mf and mlp, and most sweeps of bayes."
    )
    patience: int = Field(
        default=2,
        ge=1,
        description="Stop after this many epochs without a better validation loss; the best is "
        "kept.",
    )
    batch_size: int = Field(default=1024, ge=1, description="Ratings in a batch of mf and mlp.")
    learning_rate: float = Field(
        default=0, ge=0, description="Learning rate of mf and mlp; 0 for the model's own."
    )
    dropout: float = Field(
        default=0.5, ge=0, lt=1, description="Fraction of the units of mlp to drop in training."
    )
    weight_decay: float = Field(
        default=0.05, ge=0, description="L2 penalty on the embeddings of a rating, in mf."
    )


class TrainSettings(RatingSettings, frozen=True, extra="forbid"):
    """What to learn, where, and how."""

    objectives: str = Field(
        default="rating,ranking",
        description="What to learn: rating (predict stars), ranking (order products), or both, "
        "separated by a comma.",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|gpu(:\d+(,\d+)*)?)$",
        description="Where to compute: auto (a GPU if there is one), cpu, gpu, gpu:1 for the "
        "second GPU, or gpu:0,1 for several, among which mf and mlp divide their batches.",
    )
    warm_start: str = Field(
        default="",
        description="Start with the rating factors of an earlier model: its folder, or a store of "
        "deployed models (a folder or an s3:// URI), for the current one. A model that has "
        "learned the test ratings is not used; validation ratings that it has learned do not "
        "count. Empty: start afresh.",
    )
    checkpoints: str = Field(
        default="",
        description="Folder or s3:// URI to save every epoch to: a step that was killed resumes "
        "from there when it is retried, with the same result. Empty: save none.",
    )

    @model_validator(mode="after")
    def _objectives_are_known(self) -> Self:
        if not self.chosen or not set(self.chosen) <= set(OBJECTIVES):
            raise ValueError(f"objectives={self.objectives!r}: choose from {', '.join(OBJECTIVES)}")
        return self

    @property
    def chosen(self) -> tuple[str, ...]:
        """The objectives, one by one."""
        return tuple(name.strip() for name in self.objectives.split(",") if name.strip())
