"""The component, run by KFP itself."""

import json
from pathlib import Path
from typing import Any

from kfp import dsl, local

from components import images
from pipelines.definition.components import deploy
from tests.serve.bundles import make_model, write_bundle


def run(model: Path, store: Path, folder: Path) -> dict[str, Any]:
    """What is said of the endpoint when a model was deployed."""

    @dsl.pipeline(name="release")
    def pipeline() -> None:
        given = dsl.importer(artifact_uri=str(model), artifact_class=dsl.Model)
        deploy(model=given.output, serve_image=images.SERVE, destination=str(store))

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
    pipeline()
    (output,) = folder.rglob("executor_output.json")
    (endpoint,) = json.loads(output.read_text())["artifacts"]["endpoint"]["artifacts"]
    metadata: dict[str, Any] = endpoint["metadata"]
    return metadata


def test_kubeflow_can_store_what_is_said_of_the_first_deployment_and_of_the_same_again(
    tmp_path: Path,
) -> None:
    """Its launcher fails a step that says null of an artifact, after the model was switched."""
    model = write_bundle(tmp_path / "model", make_model(seed=0))
    for attempt in ("first", "again"):
        said = run(model, tmp_path / "store", tmp_path / attempt)
        assert said["location"] == str(tmp_path / "store")
        assert None not in said.values()
