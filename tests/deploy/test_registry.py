"""Versions in a model registry: entered once, with what made them, before they serve."""

from pathlib import Path

import pytest

from components import images
from components.artifacts.bundles import current_version, open_store
from components.deploy.deploy import deploy
from components.deploy.settings import DeploySettings
from components.errors import UserError
from tests.deploy.fake_registry import serve_registry
from tests.serve.bundles import make_model, write_bundle

DESCRIPTION = {
    "source": "s3://ratings/all",
    "source_version": "1f",
    "rating": {"model": "bayes", "validation_mse": 0.75},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    return write_bundle(folder, make_model(seed=0), description=DESCRIPTION)


def test_a_version_is_entered_once_with_its_place_and_its_facts(
    tmp_path: Path, model: Path
) -> None:
    with serve_registry() as (registry, address):
        settings = DeploySettings(destination=str(tmp_path / "store"), model_registry=address)
        versions = {deploy(settings, model, tmp_path / f"out{n}")["version"] for n in range(2)}
    assert [entry["name"] for entry in registry.entries["registered_model"]] == ["recommender"]
    [version] = registry.entries["model_version"]
    assert {version["name"]} == versions
    values = {name: value.copy() for name, value in version["customProperties"].items()}
    kinds = {name: value.pop("metadataType") for name, value in values.items()}
    facts = {name: fact for name, value in values.items() for fact in value.values()}
    assert {**facts, "revision": ""} == {
        "alsolike": images.VERSION,
        "revision": "",
        "source": "s3://ratings/all",
        "source_version": "1f",
        "rating_model": "bayes",
        "validation_mse": 0.75,
    }
    assert kinds["validation_mse"] == "MetadataDoubleValue"
    [artifact] = registry.entries["model_artifact"]
    assert artifact["parent"] == version["id"]
    assert artifact["uri"] == open_store(settings.destination).location_of(version["name"])


def test_what_an_attempt_that_was_cut_short_left_out_is_added(tmp_path: Path, model: Path) -> None:
    with serve_registry() as (registry, address):
        settings = DeploySettings(destination=str(tmp_path / "store"), model_registry=address)
        deploy(settings, model, tmp_path / "out")
        registry.entries["model_artifact"].clear()
        deploy(settings, model, tmp_path / "again")
    assert len(registry.entries["model_artifact"]) == 1


def test_a_model_that_the_registry_does_not_take_does_not_serve(
    tmp_path: Path, model: Path
) -> None:
    settings = DeploySettings(
        destination=str(tmp_path / "store"), model_registry="http://127.0.0.1:9"
    )
    with pytest.raises(UserError, match=r"model registry at http://127\.0\.0\.1:9 does not take"):
        deploy(settings, model, tmp_path / "out")
    assert current_version(open_store(settings.destination)) is None
