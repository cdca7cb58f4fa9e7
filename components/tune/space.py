"""The search space: settings of the training step and their ranges."""

from collections.abc import Callable
from typing import Any, Literal

from optuna.trial import BaseTrial

Objective = str
Parameters = dict[str, Any]
"""Settings of the training step, by name."""


def suggest_rating(trial: BaseTrial) -> Parameters:
    """Suggest a rating model; `bayes` chooses its own settings, the others have more to search."""
    model = trial.suggest_categorical("rating_model", ["bayes", "mf", "mlp"])
    parameters: Parameters = {"rating_model": model}
    if model == "bayes":
        return parameters
    parameters |= {
        "num_embeddings": trial.suggest_int("num_embeddings", 8, 256, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [256, 1024, 4096]),
        "learning_rate": trial.suggest_float(f"{model}.learning_rate", 1e-3, 0.3, log=True),
    }
    if model == "mf":
        parameters["weight_decay"] = trial.suggest_float("weight_decay", 1e-3, 0.3, log=True)
    else:
        parameters["dropout"] = trial.suggest_float("dropout", 0.0, 0.6)
    return parameters


def suggest_ranking(trial: BaseTrial) -> Parameters:
    """Suggest a ranking model, with the range of regularizations for this model."""
    model = trial.suggest_categorical("ranking_model", ["ridge", "autoencoder", "als"])
    lowest, highest = {"ridge": (10, 1e6), "autoencoder": (1, 1e5), "als": (1e-4, 1)}[model]
    # als uses at most 32 dimensions.
    width = ("als.ranking_dimensions", 8, 32) if model == "als" else ("ranking_dimensions", 16, 512)
    return {
        "ranking_model": model,
        "ranking_dimensions": trial.suggest_int(*width, log=True),
        "ranking_recency": trial.suggest_float("ranking_recency", 0.5, 1.0),
        "ranking_regularization": trial.suggest_float(
            f"{model}.ranking_regularization", lowest, highest, log=True
        ),
    }


SPACES: dict[Objective, Callable[[BaseTrial], Parameters]] = {
    "rating": suggest_rating,
    "ranking": suggest_ranking,
}
METRICS: dict[Objective, str] = {
    "rating": "validation_mse",
    "ranking": "validation_ndcg_at_50",
}
DIRECTIONS: dict[Objective, Literal["minimize", "maximize"]] = {
    "rating": "minimize",
    "ranking": "maximize",
}
