"""The training step: train the models of the chosen objectives and write the model artifact."""

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from components.artifacts.folder import write_artifact
from components.artifacts.model import (
    KIND,
    SCHEMA_VERSION,
    Model,
    validation_figures,
    write_model,
)
from components.artifacts.splits import KIND as SPLITS
from components.artifacts.splits import Splits
from components.errors import UserError

try:
    import mxnet as mx
except OSError as error:  # a shared library that its wheel does not bring
    raise UserError(
        f"MXNet does not start ({error}): "
        + (
            "this is its build for GPUs, which needs NVIDIA's driver; run it on a machine that has "
            "the driver, or in the image train-cpu"
            if "libcuda" in str(error)
            else "install Debian's libgomp1 and libquadmath0, or their equivalents on this system"
        )
    ) from None

from components.train.checkpoints import Checkpoints
from components.train.device import choose_devices
from components.train.export import export_catalogue, export_seen
from components.train.ranking.selection import choose_candidates, fit_ranking
from components.train.rating.selection import fit_rating
from components.train.rating.warm_start import Start, open_start
from components.train.resources import expected_memory, resident_memory, watch
from components.train.settings import TrainSettings

log = logging.getLogger(__name__)

# MXNet's words for it on a GPU and on the CPU.
_OUT_OF_MEMORY = ("out of memory", "failed to allocate")


def train(settings: TrainSettings, splits: Path, output: Path) -> dict[str, float]:
    """Train on a splits artifact and write a model artifact.

    Args:
        settings: what to learn, where, and how.
        splits: the folder of the splits artifact.
        output: where to write the model artifact.

    Returns:
        Validation metrics by name.

    Raises:
        UserError: if the artifact is damaged or empty, the device does not exist or is too small,
            a loss is not a finite number, or a model needs a larger array than MXNet can hold.
    """
    opened = Splits.open(splits)
    if not len(opened.train):
        raise UserError(f"{splits} has no training ratings: prepare with lower minimum counts")
    if "ranking" in settings.chosen:
        choose_candidates(settings, len(opened.products))  # fails before the rating takes hours
    devices = choose_devices(settings.device)
    own = settings.model_dump(include=set(TrainSettings.model_fields))
    origin = {"settings": own, "seed": settings.seed, "versions": _versions()}
    start = open_start(settings.warm_start, opened)
    run = origin | {"splits": opened.manifest.digest, "warm_start": start.digest}
    checkpoints = Checkpoints(settings.checkpoints, run)
    mx.random.seed(settings.seed)
    expected = _expected(opened, settings)
    log.info("peak memory will be about %.0f MiB", expected)
    gpus = [device.device_id for device in devices if device.device_type == "gpu"]
    with watch(gpus) as usage, _sizes_told(opened, settings):
        model, learned, history = _learn(opened, settings, devices, checkpoints, start)
    log.info("peak memory was %.0f MiB", usage.peak("memory_mib"))
    description = {
        **learned,
        **origin,
        "source": opened.manifest.details["source"],
        "source_version": opened.manifest.details["source_version"],
        "device": ",".join(map(str, devices)),
        "warm_start": start.digest,
    }
    with write_artifact(output, KIND, SCHEMA_VERSION, {SPLITS: opened.manifest}) as writer:
        write_model(writer, model, description, history)
        writer.measurements |= {"expected_memory_mib": expected, **usage.description}
    checkpoints.clear()
    return validation_figures(learned)


def _learn(
    splits: Splits,
    settings: TrainSettings,
    devices: tuple[mx.Context, ...],
    checkpoints: Checkpoints,
    start: Start,
) -> tuple[Model, dict[str, Any], dict[str, Any]]:
    """Return the model, the chosen model by objective, and all trials by objective."""
    rating = ranking = expected = None
    learned: dict[str, Any] = {}
    history: dict[str, Any] = {}
    if "rating" in settings.chosen:
        fitted = fit_rating(splits, settings, devices, checkpoints, start)
        rating = fitted.factors
        learned["rating"], history["rating"] = fitted.description, fitted.history
        learned["probes"] = learned["rating"].pop("probes")
        if "ranking" in settings.chosen and settings.max_disliked < 1:
            expected = fitted.fit_without_validation()
    if "ranking" in settings.chosen:
        ranking, learned["ranking"], history["ranking"] = fit_ranking(
            splits, settings, devices[0], expected
        )
    model = Model(export_catalogue(splits), export_seen(splits), rating, ranking)
    return model, learned, history


def _expected(splits: Splits, settings: TrainSettings) -> float:
    """The expected peak memory in MiB, the program included."""
    ratings = len(splits.train) + len(splits.validation)
    needed = expected_memory(len(splits.customers), len(splits.products), ratings, settings)
    return resident_memory() + needed


@contextmanager
def _sizes_told(splits: Splits, settings: TrainSettings) -> Iterator[None]:
    """Name the tables that did not fit, and the settings to change, if memory runs out."""
    try:
        yield
    except mx.MXNetError as error:
        if not any(words in str(error).lower() for words in _OUT_OF_MEMORY):
            raise
        customers, products = len(splits.customers), len(splits.products)
        cells = (customers + products) * settings.num_embeddings
        mib = cells * np.dtype(np.float32).itemsize / 2**20
        raise UserError(
            f"the device ran out of memory: the embeddings of {customers:,} customers and "
            f"{products:,} products take {mib:,.0f} MiB, and their gradients and the optimizer's "
            f"state the same again: lower num_embeddings={settings.num_embeddings}, "
            f"ranking_dimensions={settings.ranking_dimensions} or "
            f"batch_size={settings.batch_size}"
        ) from None


def _versions() -> dict[str, str]:
    packages = ("numpy", "pyarrow", "safetensors")
    return {
        "python": platform.python_version(),
        "mxnet": mx.__version__,
        **{name: version(name) for name in packages},
    }
