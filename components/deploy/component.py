"""The deployment step as Kubeflow runs it."""

from __future__ import annotations

from pathlib import Path

from kfp import dsl

from components.deploy.settings import DeploySettings


def deploy(
    settings: DeploySettings, model: dsl.Input[dsl.Model], endpoint: dsl.Output[dsl.Artifact]
) -> None:
    """Store a model as a version, test that it serves, and make it the current one.

    Args:
        settings: Where to deploy the model, and the tests that it must pass.
        model: The model that passed the gate.
        endpoint: The version that serves, and where.
    """
    from components.deploy.deploy import deploy

    endpoint.metadata.update(deploy(settings, Path(model.path), Path(endpoint.path)))
