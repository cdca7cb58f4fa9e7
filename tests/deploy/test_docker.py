"""The rollout to a real Docker engine; the image is a stand-in with this machine's Python."""

import re
import site
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from components.artifacts.bundles import FolderStore, current_version
from components.deploy.http import client
from components.deploy.rollout import roll_out
from components.deploy.server import free_port
from components.deploy.settings import DeploySettings
from components.errors import UserError
from tests.deploy.conftest import Served

pytestmark = [pytest.mark.docker, pytest.mark.slow]

Versions = tuple[Served, Served]

_IMAGE = "alsolike/serve-test"
_PACKAGES = (
    *("annotated_types", "dotenv", "httptools", "msgspec", "numpy", "numpy.libs", "pydantic"),
    *("pydantic_core", "pydantic_settings", "safetensors", "typing_extensions.py"),
    *("typing_inspection", "uvloop"),
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image of the server: its files lie in it where they lie on this machine."""
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    packages, root = Path(site.getsitepackages()[0]), Path(__file__).parents[2]
    python = Path(sys.base_prefix)
    trees = [
        *(packages / name for name in _PACKAGES),
        root / "components",
        python / "bin",
        python / "lib" / f"python3.{sys.version_info.minor}",
    ]
    with tarfile.open(archive, "w") as tar:
        for tree in trees:
            tar.add(tree, filter=_without_what_only_tests_need)
        for library in _libraries(trees):
            tar.add(library.resolve(), arcname=library)
    engine = docker.from_env()
    engine.api.import_image_from_file(
        str(archive),
        repository=_IMAGE,
        tag="test",
        changes=[f"ENV PATH={python / 'bin'}", f"ENV PYTHONPATH={packages}:{root}"],
    )
    yield f"{_IMAGE}:test"
    engine.images.remove(f"{_IMAGE}:test", force=True)


def _libraries(trees: list[Path]) -> set[Path]:
    """The libraries, outside these folders, that the programs in them load."""
    binaries = [sys.executable, *(str(file) for tree in trees for file in tree.rglob("*.so*"))]
    listed = subprocess.run(["ldd", *binaries], capture_output=True, text=True).stdout
    paths = {Path(word) for word in listed.split() if re.fullmatch(r"/.*\.so[^:]*", word)}
    return {path for path in paths if not any(path.is_relative_to(tree) for tree in trees)}


def _without_what_only_tests_need(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    unneeded = {"__pycache__", "test", "tests", "ensurepip", "idlelib"}
    name = Path(info.name)
    is_base = name.name == "site-packages"  # the given packages of it are added by name
    return None if is_base or name.name in unneeded else info


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(autouse=True)
def _no_containers_left() -> Iterator[None]:
    yield
    for container in docker.from_env().containers.list(all=True):
        if container.name.startswith("alsolike-test"):
            container.remove(force=True)


def settings(image: str, port: int, **given: object) -> DeploySettings:
    fields = {"target": "docker", "serve_image": image, "port": port, "ready_seconds": 60}
    return DeploySettings.model_validate(fields | {"endpoint_name": "alsolike-test"} | given)


def served(port: int) -> str:
    [version] = client(f"http://127.0.0.1:{port}")("/v2/models/recommender", None)["versions"]
    return str(version)


def names() -> set[str]:
    found = docker.from_env().containers.list(all=True)
    return {each.name for each in found if each.name.startswith("alsolike-test")}


def test_a_new_version_takes_the_port_over_and_a_failing_one_does_not(
    image: str, port: int, versions: Versions, store: FolderStore
) -> None:
    old, new = versions
    roll_out(settings(image, port), store, old.release)
    assert served(port) == old.release.version == current_version(store)
    with pytest.raises(UserError, match="max_latency_ms"):
        roll_out(settings(image, port, max_latency_ms=1e-6), store, new.release)
    assert served(port) == old.release.version == current_version(store)
    assert names() == {"alsolike-test"}
    roll_out(settings(image, port), store, new.release)
    assert served(port) == new.release.version == current_version(store)
    assert "alsolike-test-candidate" not in names()
    with pytest.raises(UserError, match="max_latency_ms"):
        roll_out(settings(image, port, max_latency_ms=1e-6), store, old.release)
    assert served(port) == new.release.version == current_version(store)


def test_the_old_container_comes_back_when_the_store_cannot_be_written(
    image: str,
    port: int,
    versions: Versions,
    store: FolderStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = versions
    roll_out(settings(image, port), store, old.release)

    def refuse(version: str) -> None:
        raise UserError(f"cannot write {version}")

    monkeypatch.setattr(store, "make_current", refuse)
    with pytest.raises(UserError, match="cannot write"):
        roll_out(settings(image, port), store, new.release)
    container = docker.from_env().containers.get("alsolike-test")
    assert container.labels["alsolike.version"] == old.release.version
    assert names() == {"alsolike-test"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"serve_image": "alsolike/nowhere:0"}, "Docker: .*check that the engine"),
        ({"memory_limit": "8Mi", "memory_request": "8Mi"}, "candidate (ended|was not ready)"),
    ],
)
def test_what_does_not_start_is_told_and_the_old_one_stays(
    image: str,
    port: int,
    versions: Versions,
    store: FolderStore,
    given: dict[str, object],
    reason: str,
) -> None:
    old, new = versions
    roll_out(settings(image, port), store, old.release)
    with pytest.raises(UserError, match=reason):
        roll_out(settings(image, port, ready_seconds=20, **given), store, new.release)
    assert served(port) == old.release.version == current_version(store)
    assert names() == {"alsolike-test"}
