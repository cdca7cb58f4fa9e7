"""One trial of a search: train with proposed settings, and keep only the metrics."""

import tempfile
from pathlib import Path
from typing import Any

from components.errors import UserError
from components.train.settings import TrainSettings


def run_trial(proposal: dict[str, Any], shared: dict[str, Any], splits: Path) -> dict[str, Any]:
    """Train on a splits artifact.

    Args:
        proposal: `parameters` are settings of the training step; everything else is returned
            unchanged. An empty proposal is no trial, and is returned empty.
        shared: the settings that all trials have in common.
        splits: the folder of the artifact.

    Returns:
        The proposal with its `settings` and its validation metrics, `figures`; or with the `error`
        that these settings caused, so that the search can continue.
    """
    if not proposal:
        return {}
    from components.train.train import train  # loads MXNet, which takes seconds

    settings = TrainSettings.model_validate(shared | proposal["parameters"])
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = train(settings, splits, Path(folder) / "model")
        except UserError as error:
            return proposal | {"error": str(error)}
    return proposal | {"settings": settings.model_dump(), "figures": figures}
