"""Choose the model that ranks products: try models on validation, train the best one again."""

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol

import mxnet as mx
import numpy as np

from components.artifacts.model import RankingFactors, RatingFactors
from components.artifacts.splits import Ratings, Splits
from components.errors import UserError
from components.train.histories.histories import Histories
from components.train.histories.training_set import TrainingSet
from components.train.ranking.als import ImplicitAls
from components.train.ranking.autoencoder import Autoencoder
from components.train.ranking.blend import fit_blend
from components.train.ranking.popularity import Popularity
from components.train.ranking.ridge import Ridge
from components.train.ranking.settings import Parameters, RankingSettings
from components.train.ranking.validation import Validation
from components.train.sizes import Size

# NDCG@50 uses more of the validation ratings than NDCG@10. On small data sets the model chosen by
# it is better even in NDCG@10.
_CHOSEN_BY = "ndcg_at_50"

log = logging.getLogger(__name__)

Candidate = tuple[str, Parameters]
"""The name of a model, and the parameters for its `fit`."""


class RankingModel(Protocol):
    """A model that learns to rank from a training set, once for each set of parameters."""

    def __init__(self, data: TrainingSet) -> None: ...

    @classmethod
    def candidates(cls, settings: RankingSettings) -> list[Parameters]:
        """The parameters to try, in an order that shares most of the work between neighbours."""

    @classmethod
    def size(cls, products: int, parameters: Parameters) -> Size:
        """The largest array that `fit` needs with these parameters."""

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
    splits: Splits,
    settings: RankingSettings,
    device: mx.Context,
    rating: RatingFactors | None = None,
) -> tuple[RankingFactors, dict[str, Any], list[dict[str, Any]]]:
    """Choose a model on the validation ratings, then train it on them too.

    Args:
        splits: the ratings to train on and to choose by.
        settings: which models to try, and with what.
        device: where to compute.
        rating: what expects stars, learned from the training ratings alone; None to leave expected
            stars out of the lists.

    Returns:
        The factors; the chosen model with its parameters, its NDCG@10 and NDCG@50 on the
        validation ratings, and how expected stars count (`blend`); and the first three for every
        candidate, in the order tried, followed by those that were left out, with the reason.

    Raises:
        UserError: if there are no validation ratings, or every candidate is left out.
    """
    if not len(splits.validation):
        raise UserError(
            "no validation ratings to choose a ranking by: prepare with lower minimum counts or "
            "another split"
        )
    tried, left_out = choose_candidates(settings, len(splits.products))
    for name, excess in dict.fromkeys((trial["model"], trial["left_out"]) for trial in left_out):
        log.warning("ranking: %s is left out: %s", name, excess)
    # All widths share one embedding: a narrower one is its leading columns.
    widest = max(int(parameters.get("dimensions", 1)) for _, parameters in tried)

    def training_set(ratings: Ratings) -> TrainingSet:
        customers, products = len(splits.customers), len(splits.products)
        histories = Histories.of(ratings, customers, products, settings.seed)
        return TrainingSet(histories, widest, settings.seed, device)

    validation = Validation.of(training_set(splits.train), splits.validation)
    trials, judged = _judge(validation, tried)
    best = max(trials, key=lambda trial: trial[_CHOSEN_BY])
    log.info("ranking: %s is best, NDCG@50 %.4f on validation", best["model"], best[_CHOSEN_BY])
    known = splits.train.merged_with(splits.validation)
    factors = MODELS[best["model"]](training_set(known)).fit(**best["parameters"])
    if rating is not None:
        found = fit_blend(rating, judged, validation, splits, settings.max_disliked)
        factors = replace(factors, stars_weight=np.array([found.stars_weight], np.float32))
        best = best | {"blend": asdict(found)}
    return factors, best, trials + left_out


def choose_candidates(
    settings: RankingSettings, products: int
) -> tuple[list[Candidate], list[dict[str, Any]]]:
    """The candidates to try, and those left out because they need too large an array.

    Raises:
        UserError: if every candidate is left out.
    """
    chosen = MODELS if settings.ranking_model == "auto" else [settings.ranking_model]
    tried: list[Candidate] = []
    left_out: list[dict[str, Any]] = []
    for name in chosen:
        for parameters in MODELS[name].candidates(settings):
            if excess := MODELS[name].size(products, parameters).excess:
                left_out.append({"model": name, "parameters": parameters, "left_out": excess})
            else:
                tried.append((name, parameters))
    if not tried:
        raise UserError(
            f"ranking_model={settings.ranking_model}: {left_out[-1]['left_out']}: lower "
            f"ranking_dimensions={settings.ranking_dimensions}, set ranking_model=auto or prepare "
            f"with higher minimum counts"
        )
    return tried, left_out


def _judge(
    validation: Validation, tried: list[Candidate]
) -> tuple[list[dict[str, Any]], RankingFactors]:
    """Every candidate with its figures, and the factors of the best."""
    trials: list[dict[str, Any]] = []
    chosen: tuple[float, RankingFactors] | None = None
    for name, candidates in groupby(tried, key=itemgetter(0)):
        model = MODELS[name](validation.data)
        best = 0.0
        for _, parameters in candidates:
            factors = model.fit(**parameters)
            figures = validation.measure(factors)
            best = max(best, figures[_CHOSEN_BY])
            if chosen is None or figures[_CHOSEN_BY] > chosen[0]:
                chosen = figures[_CHOSEN_BY], factors
            trials.append({"model": name, "parameters": parameters, **figures})
        log.info("ranking: %s reaches NDCG@50 %.4f on validation", name, best)
    assert chosen is not None, "there is always a candidate"
    return trials, chosen[1]
