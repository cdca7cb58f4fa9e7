"""`alsolike deployments`: what it lists, and which version serves afterwards."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
import yaml
from typer.testing import CliRunner

from components.artifacts.bundles import FolderStore, S3Store
from components.deploy.deploy import deploy
from components.deploy.settings import DeploySettings
from components.errors import UserError
from pipelines.command.main import app
from pipelines.local.object_store import ObjectStore
from tests.serve.bundles import make_model, write_bundle

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A store with three versions, the last one current."""
    folder = tmp_path_factory.mktemp("deployments")
    settings = DeploySettings(destination=str(folder / "store"))
    versions = []
    for seed in range(3):
        description = {
            "source": "s3://shop/reviews/",
            "rating": {"validation_mse": 0.842 + seed},
            "ranking": {"ndcg_at_10": 0.1526},
        }
        model = write_bundle(
            folder / str(seed), make_model(seed=seed), description=description if seed else {}
        )
        versions.append(deploy(settings, model, folder / "out")["version"])
    return folder / "store", versions


def alsolike(*arguments: str) -> str:
    with patch.dict(os.environ):  # the command tells boto3 by it of the environment's store
        result = CliRunner().invoke(app, ["deployments", *arguments])
    if result.exception:
        raise result.exception
    return result.output


def states(listed: str) -> dict[str, str]:
    """The state of every version, in the order of the lines."""
    return {row.split()[0]: row.split()[1] for row in listed.splitlines()[1:]}


def test_lists_goes_back_and_forth(deployed: tuple[Path, list[str]]) -> None:
    folder, (first, second, third) = deployed
    where = ("-p", f"destination={folder}")
    assert states(alsolike("list", *where)) == {
        third: "serves",
        second: "previous",
        first: "before",
    }
    assert alsolike("rollback", *where).endswith(f"{second} is current in {folder}\n")
    assert FolderStore(folder).history() == [first, third, second]
    assert (folder / "current").resolve().name == second
    alsolike("promote", first, *where)
    assert FolderStore(folder).history() == [third, second, first]
    with pytest.raises(UserError, match="has no version nonesuch: it has"):
        alsolike("promote", "nonesuch", *where)
    assert FolderStore(folder).history() == [third, second, first]


def test_lists_when_a_version_was_stored_from_which_source_and_its_metrics(
    deployed: tuple[Path, list[str]],
) -> None:
    folder, (first, second, _) = deployed
    listed = alsolike("list", "-p", f"destination={folder}")
    today = rf"{datetime.now(UTC):%Y-%m-%d} \d\d:\d\d"
    assert re.search(rf"{second}  .* {today}  1.8420   0.1526   s3://shop/reviews/\n", listed)
    # A model that does not say what it was made from.
    assert re.search(rf"{first}  .* {today}\n", listed)


def test_says_that_there_is_nothing(tmp_path: Path) -> None:
    where = ("-p", f"destination={tmp_path}")
    assert alsolike("list", *where) == f"nothing is deployed at {tmp_path}\n"
    with pytest.raises(UserError, match="has no version before the current one"):
        alsolike("rollback", *where)


def test_takes_an_environments_parameters_and_no_unknown_ones() -> None:
    with pytest.raises(UserError, match="no parameter 'epochs': it has"):
        alsolike("list", "-p", "epochs=3")
    with pytest.raises(ValueError, match="needs a destination that begins with s3://"):
        alsolike("list", "-e", "prod", "-p", "destination=here", "-p", "target=kserve")


def test_looks_into_the_store_of_the_environment(
    object_store: ObjectStore,
    bucket: str,
    deployed: tuple[Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, versions = deployed
    S3Store(f"s3://{bucket}/models").add(folder / "versions" / versions[0])
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    content = yaml.safe_load(Path("pipelines/environments/dev.yaml").read_text())
    content |= {"s3_endpoint": object_store.environment["AWS_ENDPOINT_URL"]}
    file = tmp_path / "there.yaml"
    file.write_text(yaml.safe_dump(content))
    listed = alsolike("list", "-e", str(file), "-p", f"destination=s3://{bucket}/models")
    assert states(listed) == {versions[0]: "stored"}


def test_verifies_every_stored_version(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    versions = [
        store.add(write_bundle(tmp_path / str(seed), make_model(seed=seed))) for seed in range(2)
    ]
    where = ("-p", f"destination={tmp_path / 'store'}")
    assert "all 2 versions" in alsolike("verify", *where)
    file = Path(store.location_of(versions[0])) / "factors.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"damaged versions: {versions[0]}: deploy"):
        alsolike("verify", *where)


def test_verifies_every_version_in_s3(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    """One of three is damaged, one has lost a file; to store them again mends both."""
    where = ("-p", f"destination=s3://{bucket}/models")
    store = S3Store(f"s3://{bucket}/models")
    bundles = [write_bundle(tmp_path / str(seed), make_model(seed=seed)) for seed in range(3)]
    damaged, cut, whole = (store.add(bundle) for bundle in bundles)
    assert "all 3 versions" in alsolike("verify", *where)
    key = f"models/versions/{damaged}/factors.safetensors"
    content = bytearray(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    content[-1] ^= 1
    s3.put_object(Bucket=bucket, Key=key, Body=bytes(content))
    s3.delete_object(Bucket=bucket, Key=f"models/versions/{cut}/factors.safetensors")
    named = ", ".join(sorted([damaged, cut]))
    with pytest.raises(UserError, match=f"has damaged versions: {named}: deploy them again"):
        alsolike("verify", *where)
    for bundle in bundles[:2]:
        store.add(bundle)
    verified = alsolike("verify", *where)
    assert f"{whole}  valid" in verified
    assert "all 3 versions" in verified


def test_prunes_old_versions_but_none_that_may_be_needed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store, where = FolderStore(folder), ("-p", f"destination={folder}")
    assert alsolike("prune", "--keep=2", *where) == f"there is nothing to remove at {folder}\n"
    versions = [
        store.add(write_bundle(tmp_path / str(seed), make_model(seed=seed))) for seed in range(6)
    ]
    # The second was never current, and the last one is a canary.
    first, second, third, fourth, fifth, canary = versions
    for version in (first, third, fourth, fifth):
        store.make_current(version)
    listed = "".join(f"{version}  removed\n" for version in sorted([first, second, third]))
    planned = alsolike("prune", "--keep=2", "--dry-run", *where)
    assert planned == listed.replace("removed", "would be removed")
    assert len(store.versions()) == 6
    assert alsolike("prune", "--keep=2", *where) == listed
    assert sorted(store.versions()) == sorted([fourth, fifth, canary])
    assert states(alsolike("list", *where)) == {
        fifth: "serves",
        fourth: "previous",
        canary: "stored",
    }
    assert store.fetch(fourth, tmp_path).is_dir()  # what a rollback needs
