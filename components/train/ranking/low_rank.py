"""What the models on the embedding of the training set share."""

from typing import ClassVar

from components.train.histories.training_set import TrainingSet, embedding_size
from components.train.ranking.settings import Parameters, RankingSettings
from components.train.sizes import Size


class LowRankModel:
    """A model that learns from the leading columns of the embedding."""

    recencies: ClassVar[tuple[float, ...]]
    regularizations: ClassVar[tuple[float, ...]]

    def __init__(self, data: TrainingSet) -> None:
        self._data = data

    @classmethod
    def candidates(cls, settings: RankingSettings) -> list[Parameters]:
        """The parameters to try."""
        return settings.choices(
            recency=cls.recencies, dimensions=settings.widths, regularization=cls.regularizations
        )

    @classmethod
    def size(cls, products: int, parameters: Parameters) -> Size:
        """Its largest array: the one that computing the embedding needs."""
        return embedding_size(products, int(parameters["dimensions"]))
