"""Try models of the ranking on the validation ratings and learn the best again from all."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import mxnet as mx

from components.artifacts.model import RankingFactors
from components.artifacts.splits import Ratings, Splits
from components.errors import UserError
from components.train.ranking.als import ImplicitAls
from components.train.ranking.autoencoder import Autoencoder
from components.train.ranking.histories import Histories
from components.train.ranking.popularity import Popularity
from components.train.ranking.ridge import Ridge
from components.train.ranking.settings import Parameters, RankingSettings
from components.train.ranking.training_set import TrainingSet
from components.train.ranking.validation import Validation

# A longer list than is shown tells more of the same number of ratings: on small sets the choice by
# 50 places makes for better first 10 places than the choice by 10.
_CHOSEN_BY = "ndcg_at_50"

log = logging.getLogger(__name__)


class RankingModel(Protocol):
    """Learns to rank from a training set, as often as wanted."""

    def __init__(self, data: TrainingSet) -> None: ...

    @classmethod
    def candidates(cls, settings: RankingSettings) -> list[Parameters]:
        """What to call `fit` with, those that share most of the work next to each other."""

    @property
    def fit(self) -> Callable[..., RankingFactors]:
        """Learn with these parameters."""


MODELS: dict[str, type[RankingModel]] = {
    "popularity": Popularity,
    "autoencoder": Autoencoder,
    "ridge": Ridge,
    "als": ImplicitAls,
}


def fit_ranking(
    splits: Splits, settings: RankingSettings, device: mx.Context
) -> tuple[RankingFactors, dict[str, Any], list[dict[str, Any]]]:
    """Choose on the validation ratings, then learn from them too.

    Returns:
        The factors; the chosen model with its parameters and its NDCG@10 and NDCG@50 on the
        validation ratings; and the same of every candidate, in the order tried.

    Raises:
        UserError: if there are no validation ratings.
    """
    if not len(splits.validation):
        raise UserError(
            "no validation ratings to choose a ranking by: prepare with lower minimum counts or "
            "another split"
        )
    trials = list(_trials(_training_set(splits, splits.train, settings, device), splits, settings))
    best = max(trials, key=lambda trial: trial[_CHOSEN_BY])
    log.info("ranking: %s is best, NDCG@10 %.4f", best["model"], best["ndcg_at_10"])
    known = splits.train.merged_with(splits.validation)
    model = MODELS[best["model"]](_training_set(splits, known, settings, device))
    return model.fit(**best["parameters"]), best, trials


def _trials(
    data: TrainingSet, splits: Splits, settings: RankingSettings
) -> Iterator[dict[str, Any]]:
    validation = Validation.of(data, splits.validation)
    chosen = MODELS if settings.ranking_model == "auto" else [settings.ranking_model]
    for name in chosen:
        model = MODELS[name](data)
        best = 0.0
        for parameters in MODELS[name].candidates(settings):
            figures = validation.measure(model.fit(**parameters))
            best = max(best, figures["ndcg_at_10"])
            yield {"model": name, "parameters": parameters, **figures}
        log.info("ranking: %s reaches NDCG@10 %.4f on validation", name, best)


def _training_set(
    splits: Splits, ratings: Ratings, settings: RankingSettings, device: mx.Context
) -> TrainingSet:
    histories = Histories.of(ratings, len(splits.customers), len(splits.products), settings.seed)
    return TrainingSet(histories, settings.ranking_dimensions, settings.seed, device)
