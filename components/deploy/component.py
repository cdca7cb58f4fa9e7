"""The deployment step as Kubeflow runs it."""

from __future__ import annotations

from pathlib import Path

from kfp import dsl

from components.deploy.settings import DeploySettings


def deploy(
    settings: DeploySettings, model: dsl.Input[dsl.Model], endpoint: dsl.Output[dsl.Artifact]
) -> None:
    """Store a model that passed as a version, prove that it serves, and let it serve.

    Args:
        settings: Where the model goes, and what it must show first.
        model: The model that passed the gate.
        endpoint: Which version serves, and where.
    """
    from components.deploy.deploy import deploy

    endpoint.metadata.update(deploy(settings, Path(model.path), Path(endpoint.path)))
