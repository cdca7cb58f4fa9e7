"""The artifacts that the step is given, opened and checked against each other."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from components.artifacts import ratings as ratings_format
from components.artifacts import splits as splits_format
from components.artifacts.bundles import open_current
from components.artifacts.folder import Manifest, read_measurements
from components.artifacts.model import DESCRIPTION, HISTORY, KIND, Model, open_model
from components.artifacts.ratings import REJECTS, RatingsFolder
from components.artifacts.splits import STATISTICS, Splits
from components.errors import UserError

_REJECTS_KEPT = 5


@dataclass(frozen=True)
class Inputs:
    """The input artifacts.

    Attributes:
        ratings: the manifest of the `ratings` artifact.
        rejects: the first rejected rows of the `ratings` artifact.
        splits: the `splits` artifact.
        statistics: its `statistics.json`.
        model: the model to evaluate.
        model_manifest: the manifest of the `model` artifact.
        description: its `model.json`.
        history: its `history.json`.
        measurements: its `measurements.json`.
        champion: the deployed model, or None.
        champion_manifest: the manifest of its bundle, or None.
    """

    ratings: Manifest
    rejects: list[dict[str, Any]]
    splits: Splits
    statistics: dict[str, Any]
    model: Model
    model_manifest: Manifest
    description: dict[str, Any]
    history: Any
    measurements: dict[str, Any]
    champion: Model | None
    champion_manifest: Manifest | None

    @property
    def made_from(self) -> dict[str, Manifest]:
        """The manifests of all artifacts that a verdict is made from, by name."""
        manifests = {
            ratings_format.KIND: self.ratings,
            splits_format.KIND: self.splits.manifest,
            KIND: self.model_manifest,
        }
        if self.champion_manifest:
            manifests["champion"] = self.champion_manifest
        return manifests


def open_inputs(ratings: Path, splits: Path, model: Path, store: str) -> Inputs:
    """Open the artifacts.

    Args:
        ratings: the folder of the `ratings` artifact.
        splits: the folder of the `splits` artifact.
        model: the folder of the `model` artifact.
        store: the bundle store with the deployed model; empty for none.

    Raises:
        UserError: if an artifact is damaged or of another kind, the model was not trained on
            `splits`, or those were not made from `ratings`.
    """
    opened = Splits.open(splits)
    ingested = RatingsFolder.open(ratings).manifest
    if opened.manifest.made_from.get(ratings_format.KIND) != ingested.digest:
        raise UserError(f"{splits} was not made from {ratings}: give the ratings it was made from")
    trained, manifest = open_model(model)
    if manifest.made_from.get(splits_format.KIND) != opened.manifest.digest:
        raise UserError(f"{model} was not trained on {splits}: train a model on these splits")
    champion, champion_manifest = _open_champion(store)
    return Inputs(
        ratings=ingested,
        rejects=_first_rejects(ratings),
        splits=opened,
        statistics=json.loads((splits / STATISTICS).read_text()),
        model=trained,
        model_manifest=manifest,
        description=json.loads((model / DESCRIPTION).read_text()),
        history=json.loads((model / HISTORY).read_text()),
        measurements=read_measurements(model),
        champion=champion,
        champion_manifest=champion_manifest,
    )


def _open_champion(store: str) -> tuple[Model | None, Manifest | None]:
    with tempfile.TemporaryDirectory(prefix="alsolike-champion-") as folder:
        bundle = open_current(store, Path(folder)) if store else None
        # The model's arrays are mapped into memory, so they outlive the folder.
        return open_model(bundle) if bundle else (None, None)


def _first_rejects(ratings: Path) -> list[dict[str, Any]]:
    with pq.ParquetFile(ratings / REJECTS) as file:
        for batch in file.iter_batches(batch_size=_REJECTS_KEPT):
            rows: list[dict[str, Any]] = batch.to_pylist()
            return rows
    return []
