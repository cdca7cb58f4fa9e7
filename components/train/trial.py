"""One trial of a search: train with proposed settings, and keep the figures alone."""

import tempfile
from pathlib import Path
from typing import Any

from components.errors import UserError
from components.train.settings import TrainSettings


def run_trial(proposal: dict[str, Any], shared: dict[str, Any], splits: Path) -> dict[str, Any]:
    """Train on a splits artifact.

    Args:
        proposal: `parameters` are settings of the training step; anything else comes back as is.
            An empty proposal is no trial, and comes back empty.
        shared: settings that all trials have in common.
        splits: folder of the artifact.

    Returns:
        The proposal with the `settings` and the `figures` on validation; or with the `error` that
        these settings met, for a search to go on without them.
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
