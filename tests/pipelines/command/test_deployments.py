"""`alsolike deployments`: what it lists, and which version serves afterwards."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.artifacts.bundles import FolderStore
from components.deploy.deploy import deploy
from components.deploy.settings import DeploySettings
from components.errors import UserError
from pipelines.command.main import app
from tests.serve.bundles import make_model, write_bundle


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A store with three versions, the last one current."""
    folder = tmp_path_factory.mktemp("deployments")
    settings = DeploySettings(destination=str(folder / "store"))
    versions = []
    for seed in range(3):
        model = write_bundle(folder / str(seed), make_model(seed=seed))
        versions.append(deploy(settings, model, folder / "out")["version"])
    return folder / "store", versions


def alsolike(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["deployments", *arguments])
    if result.exception:
        raise result.exception
    return result.output


def test_lists_goes_back_and_forth(deployed: tuple[Path, list[str]]) -> None:
    folder, (first, second, third) = deployed
    where = ("-p", f"destination={folder}")
    assert alsolike("list", *where) == f"{third}  current\n{second}  previous\n{first}  before\n"
    assert alsolike("rollback", *where).endswith(f"{second} is current in {folder}\n")
    assert FolderStore(folder).history() == [first, third, second]
    assert (folder / "current").resolve().name == second
    alsolike("promote", first, *where)
    assert FolderStore(folder).history() == [third, second, first]
    with pytest.raises(UserError, match="has no version nonesuch: it has"):
        alsolike("promote", "nonesuch", *where)
    assert FolderStore(folder).history() == [third, second, first]


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
