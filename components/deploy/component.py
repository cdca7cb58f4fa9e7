"""The deployment step as a Kubeflow component."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.SERVE, install_kfp_package=False)
def deploy(
    model: dsl.Input[dsl.Model],
    endpoint: dsl.Output[dsl.Artifact],
    target: str = "local",
    destination: str = "runs/endpoint",
    precompute_top_n: int = 0,
    smoke_seconds: float = 60.0,
) -> None:
    """Bundle a model that passed, prove that it serves, and make it the current one.

    Args:
        model: The model that passed the gate.
        endpoint: Which version is current, and where.
        target: What serves the model: local (whatever reads the store).
        destination: The bundle store: a folder, or s3://bucket/prefix.
        precompute_top_n: Compute this many recommendations for every customer ahead; 0 for none.
        smoke_seconds: Longest time for the new bundle to be served and to answer its golden
            requests.
    """
    from pathlib import Path

    from components.deploy.deploy import deploy
    from components.deploy.settings import DeploySettings
    from components.step import step

    with step("deploy"):
        settings = DeploySettings.model_validate(
            {
                "target": target,
                "destination": destination,
                "precompute_top_n": precompute_top_n,
                "smoke_seconds": smoke_seconds,
            }
        )
        facts = deploy(settings, Path(model.path), Path(endpoint.path))
    endpoint.metadata.update(facts)
