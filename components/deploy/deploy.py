"""The deployment step: bundle, prove, store, make current."""

import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from components.artifacts.bundles import current_version, open_store
from components.artifacts.folder import MANIFEST, Manifest, write_artifact
from components.artifacts.model import KIND, SCHEMA_VERSION, Model, open_model
from components.artifacts.precomputed import precompute, write_precomputed
from components.deploy.golden import GOLDEN, golden_requests
from components.deploy.settings import DeploySettings
from components.deploy.smoke import smoke_test

ENDPOINT = "endpoint"
ENDPOINT_VERSION = 1

log = logging.getLogger(__name__)


def deploy(settings: DeploySettings, model: Path, output: Path) -> dict[str, Any]:
    """Make a model the current one of a bundle store; whatever fails, the old one stays.

    Returns:
        What `endpoint.json` in `output` holds: target, version, location and previous version.

    Raises:
        UserError: if the model is damaged, a server does not answer by it as it should, or the
            store cannot be written.
    """
    opened, manifest = open_model(model)
    store = open_store(settings.destination)
    with tempfile.TemporaryDirectory(prefix="alsolike-bundle-") as work:
        bundle = Path(work) / "bundle"
        _write_bundle(bundle, model, opened, manifest, settings.precompute_top_n)
        answered = smoke_test(bundle, settings.smoke_seconds)
        log.info("a server on the new bundle answered %d golden requests as it should", answered)
        version = store.add(bundle)
    previous = current_version(store)
    store.make_current(version)
    log.info("version %s is current in %s, before it %s", version, store.location, previous)
    endpoint = {
        "target": settings.target,
        "version": version,
        "location": store.location,
        "previous": previous if previous != version else None,
    }
    with write_artifact(output, ENDPOINT, ENDPOINT_VERSION, {KIND: manifest}) as writer:
        (writer.path / "endpoint.json").write_text(json.dumps(endpoint, indent=1) + "\n")
    return endpoint


def _write_bundle(
    bundle: Path, folder: Path, model: Model, manifest: Manifest, precompute_top_n: int
) -> None:
    """The model's files, its golden requests and, on request, lists for every customer."""
    with write_artifact(bundle, KIND, SCHEMA_VERSION, {KIND: manifest}) as writer:
        shutil.copytree(
            folder, writer.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST)
        )
        golden = golden_requests(model)
        (writer.path / GOLDEN).write_text(json.dumps(golden, indent=1) + "\n")
        if precompute_top_n and model.ranking is not None:
            write_precomputed(writer.path, precompute(model, precompute_top_n))
