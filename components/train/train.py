"""The training step: learn what was asked for and write the model artifact."""

import logging
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np

from components.artifacts.folder import write_artifact
from components.artifacts.model import KIND, SCHEMA_VERSION, Model, write_model
from components.artifacts.splits import KIND as SPLITS
from components.artifacts.splits import Splits
from components.errors import UserError
from components.train.device import choose_device
from components.train.export import export_catalogue, export_seen
from components.train.ranking import fit_ranking
from components.train.rating.fit import fit_rating
from components.train.settings import TrainSettings

log = logging.getLogger(__name__)


def train(settings: TrainSettings, splits: Path, output: Path) -> dict[str, float]:
    """Learn from a splits artifact and write a model artifact.

    Returns:
        Validation figures by name.

    Raises:
        UserError: if the artifact is damaged or empty, the device is not there or too small, or
            a loss is no longer a number.
    """
    opened = Splits.open(splits)
    if not len(opened.train):
        raise UserError(f"{splits} has no training ratings: prepare with lower minimum counts")
    device = choose_device(settings.device)
    mx.random.seed(settings.seed)
    try:
        model, learned, history = _learn(opened, settings, device)
    except mx.MXNetError as error:
        if "out of memory" in str(error).lower():
            raise _out_of_memory(opened, settings) from None
        raise
    description = learned | {
        "settings": settings.model_dump(include=set(TrainSettings.model_fields)),
        "seed": settings.seed,
        "device": str(device),
        "versions": _versions(),
    }
    with write_artifact(output, KIND, SCHEMA_VERSION, {SPLITS: opened.manifest}) as writer:
        write_model(writer, model, description, history)
    return _figures(learned)


def _learn(
    splits: Splits, settings: TrainSettings, device: mx.Context
) -> tuple[Model, dict[str, Any], dict[str, Any]]:
    """The model, what was chosen by objective, and what was tried by objective."""
    rating = ranking = None
    learned: dict[str, Any] = {}
    history: dict[str, Any] = {}
    if "rating" in settings.chosen:
        rating, learned["rating"], history["rating"] = fit_rating(splits, settings, device)
        learned["probes"] = learned["rating"].pop("probes")
    if "ranking" in settings.chosen:
        ranking, learned["ranking"], history["ranking"] = fit_ranking(splits, settings, device)
    model = Model(export_catalogue(splits), export_seen(splits), rating, ranking)
    return model, learned, history


def _out_of_memory(splits: Splits, settings: TrainSettings) -> UserError:
    rows = len(splits.customers) + len(splits.products)
    mib = rows * settings.num_embeddings * np.dtype(np.float32).itemsize / 2**20
    return UserError(
        f"the device ran out of memory: the embeddings of {len(splits.customers):,} customers "
        f"and {len(splits.products):,} products take {mib:,.0f} MiB, their gradients and the "
        f"optimizer's state as much again: lower num_embeddings={settings.num_embeddings} or "
        f"batch_size={settings.batch_size}"
    )


def _versions() -> dict[str, str]:
    packages = ("numpy", "pyarrow", "safetensors")
    return {
        "python": platform.python_version(),
        "mxnet": mx.__version__,
        **{name: version(name) for name in packages},
    }


def _figures(learned: dict[str, Any]) -> dict[str, float]:
    figures = {}
    if "rating" in learned:
        figures["validation_mse"] = float(learned["rating"]["validation_mse"])
    if "ranking" in learned:
        for name in ("ndcg_at_10", "ndcg_at_50"):
            figures[f"validation_{name}"] = float(learned["ranking"][name])
    return figures
