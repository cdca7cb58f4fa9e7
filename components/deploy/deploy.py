"""The deployment step: bundle a model, store it as a version, and roll it out."""

import json
import logging
from pathlib import Path
from typing import Any

from components.artifacts.bundles import current_version, open_store
from components.artifacts.folder import read_manifest, write_artifact
from components.artifacts.model import KIND, SCHEMA_VERSION
from components.artifacts.scratch import scratch_folder
from components.deploy.bundle import write_bundle
from components.deploy.registry import register
from components.deploy.rollout import roll_out
from components.deploy.settings import DeploySettings
from components.deploy.targets.target import Release

ENDPOINT = "endpoint"
ENDPOINT_VERSION = 1

log = logging.getLogger(__name__)


def deploy(settings: DeploySettings, model: Path, output: Path) -> dict[str, Any]:
    """Store a model as a new version and roll it out; if this fails, the old version serves on.

    Args:
        settings: where to deploy the model, and the tests that it must pass.
        model: the folder of the model artifact.
        output: where to write the `endpoint` artifact.

    Returns:
        The content of its `endpoint.json`: target, version, location, the share of the requests
        for this version, and the previous version if there was another one.

    Raises:
        UserError: if the model is damaged, the store cannot be written, or the rollout fails.
    """
    store = open_store(settings.destination)
    previous = current_version(store)
    with scratch_folder("alsolike-bundle-") as work:
        bundle = work / "bundle"
        write_bundle(bundle, model, settings.precompute_top_n)
        manifest = read_manifest(bundle, KIND, SCHEMA_VERSION)
        version = store.add(bundle)
        log.info("version %s is stored at %s", version, store.location)
        # Test the stored bundle, not the one it was made from.
        stored = store.fetch(version, work)
        release = Release(version, stored, store.location_of(version))
        if settings.model_registry:
            register(settings.model_registry, settings.endpoint_name, release)
        roll_out(settings, store, release)
    endpoint: dict[str, Any] = {
        "target": settings.target,
        "version": version,
        "location": store.location,
        "traffic_percent": settings.canary_percent,
    }
    # Kubeflow fails a step whose artifact has a null in its metadata.
    if previous not in (None, version):
        endpoint["previous"] = previous
    with write_artifact(output, ENDPOINT, ENDPOINT_VERSION, {KIND: manifest}) as writer:
        (writer.path / "endpoint.json").write_text(json.dumps(endpoint, indent=1) + "\n")
    return endpoint


def deploy_stored(settings: DeploySettings, version: str) -> None:
    """Roll out a version that is in the store, like a new one.

    Raises:
        UserError: if the store does not have it, or the rollout fails.
    """
    store = open_store(settings.destination)
    with scratch_folder("alsolike-bundle-") as work:
        bundle = store.fetch(version, work)
        roll_out(settings, store, Release(version, bundle, store.location_of(version)))
