"""Push and lock, with a real registry: Debian's `docker-registry`, on loopback."""

import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import docker
import pytest
from typer.testing import CliRunner, Result

from components import images
from components.deploy.server import free_port
from components.processes import child_process
from pipelines.command import images as commands
from pipelines.command import main as cli

pytestmark = pytest.mark.docker

CONFIGURATION = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
NAME, OTHER = "alsolike/of-a-test:1", "alsolike/never-built:1"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("docker-registry")
    assert program, "push and lock are tested with a registry: apt-get install docker-registry"
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    configuration = folder / "config.yml"
    configuration.write_text(CONFIGURATION.format(folder=folder / "data", port=port))
    with (
        (folder / "log").open("wb") as log,
        child_process(
            [program, "serve", configuration], output=log, environment=os.environ
        ) as process,
    ):
        while not answers(f"http://127.0.0.1:{port}/v2/"):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"127.0.0.1:{port}/team"


def answers(url: str) -> bool:
    try:
        with urlopen(url):
            return True
    except URLError:
        return False


@pytest.fixture(autouse=True)
def small_images(engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small images in the place of the pipeline's; one of them is on no engine."""
    monkeypatch.setattr(images, "ALL", (NAME, OTHER))
    monkeypatch.setattr("pipelines.images.building.NAMES", {"small": NAME, "none": OTHER})
    monkeypatch.setattr(commands, "NAMES", {"small": NAME, "none": OTHER})
    fill(engine, "first")
    yield
    for image in engine.images.list(all=True):
        names = [*image.tags, *image.attrs["RepoDigests"]]
        if any(NAME.partition(":")[0] in name for name in names):
            engine.images.remove(image.id, force=True)


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lock = tmp_path / "images.lock"
    monkeypatch.setattr(commands, "LOCK", lock)
    return lock


def fill(engine: docker.DockerClient, file: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(file))
    repository, _, tag = NAME.partition(":")
    engine.api.import_image_from_data(archive.getvalue(), repository=repository, tag=tag)


def alsolike(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["images", *arguments])


def test_a_push_locks_what_the_registry_then_has(
    engine: docker.DockerClient, registry: str, lock: Path
) -> None:
    run = alsolike("push", "small", f"--registry={registry}")
    assert run.exception is None
    locked = json.loads(lock.read_text())
    assert list(locked) == [NAME]
    repository = f"{registry}/{NAME.partition(':')[0]}"
    pulled = engine.images.pull(f"{repository}@{locked[NAME]}")
    assert pulled.id == engine.images.get(NAME).id


def test_lock_writes_what_lies_in_the_registry_and_not_what_lies_here(
    engine: docker.DockerClient, registry: str, lock: Path
) -> None:
    alsolike("push", "small", f"--registry={registry}")
    pushed = json.loads(lock.read_text())
    lock.unlink()
    fill(engine, "second")
    run = alsolike("lock", "small", f"--registry={registry}")
    assert run.exception is None
    assert json.loads(lock.read_text()) == pushed


def test_another_image_under_the_same_tag_has_another_digest(
    engine: docker.DockerClient, registry: str, lock: Path
) -> None:
    alsolike("push", "small", f"--registry={registry}")
    first = json.loads(lock.read_text())
    fill(engine, "second")
    alsolike("push", "small", f"--registry={registry}")
    second = json.loads(lock.read_text())
    assert first.keys() == second.keys()
    assert first != second


def test_what_was_never_built_or_pushed_is_told(registry: str, lock: Path) -> None:
    pushed = alsolike("push", "none", f"--registry={registry}")
    assert str(pushed.exception) == (f"the Docker engine has no {OTHER}: build first (make images)")
    locked = alsolike("lock", "none", f"--registry={registry}")
    begin = f"{OTHER} cannot be locked, {registry} does not have it: "
    assert str(locked.exception).startswith(begin)
    assert not lock.exists()


def test_a_registry_that_does_not_answer_is_told(lock: Path) -> None:
    run = alsolike("push", "small", f"--registry=127.0.0.1:{free_port()}")
    assert "refuses alsolike/of-a-test:1: " in str(run.exception)
    assert not lock.exists()


def test_an_address_is_no_registry(lock: Path) -> None:
    run = alsolike("push", "small", "--registry=https://registry.example.com")
    assert "write one such as ghcr.io/you/alsolike, without https://" in str(run.exception)
    assert not lock.exists()
