"""The rollout to a real Docker engine, of the image that serves."""

from collections.abc import Callable, Iterator

import docker
import pytest

from components import images
from components.artifacts.bundles import FolderStore, current_version
from components.deploy.http import client
from components.deploy.rollout import roll_out
from components.deploy.server import free_port
from components.deploy.settings import DeploySettings
from components.errors import UserError
from tests.deploy.conftest import Served

pytestmark = [pytest.mark.docker, pytest.mark.slow]

Versions = tuple[Served, Served]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(autouse=True)
def _no_containers_left() -> Iterator[None]:
    yield
    for container in docker.from_env().containers.list(all=True):
        if container.name.startswith("alsolike-test"):
            container.remove(force=True)


def settings(port: int, **given: object) -> DeploySettings:
    fields = {"target": "docker", "serve_image": images.SERVE, "port": port, "ready_seconds": 60}
    return DeploySettings.model_validate(fields | {"endpoint_name": "alsolike-test"} | given)


def served(port: int) -> str:
    [version] = client(f"http://127.0.0.1:{port}")("/v2/models/recommender", None)["versions"]
    return str(version)


def names() -> set[str]:
    found = docker.from_env().containers.list(all=True)
    return {each.name for each in found if each.name.startswith("alsolike-test")}


def test_a_new_version_takes_the_port_over_and_a_failing_one_does_not(
    port: int, versions: Versions, store: FolderStore
) -> None:
    old, new = versions
    roll_out(settings(port), store, old.release)
    assert served(port) == old.release.version == current_version(store)
    with pytest.raises(UserError, match="max_latency_ms"):
        roll_out(settings(port, max_latency_ms=1e-6), store, new.release)
    assert served(port) == old.release.version == current_version(store)
    assert names() == {"alsolike-test"}
    roll_out(settings(port), store, new.release)
    assert served(port) == new.release.version == current_version(store)
    assert "alsolike-test-candidate" not in names()
    with pytest.raises(UserError, match="max_latency_ms"):
        roll_out(settings(port, max_latency_ms=1e-6), store, old.release)
    assert served(port) == new.release.version == current_version(store)


def test_the_old_container_comes_back_when_the_store_cannot_be_written(
    port: int,
    versions: Versions,
    store: FolderStore,
    break_store: Callable[[], None],
) -> None:
    old, new = versions
    roll_out(settings(port), store, old.release)
    break_store()
    with pytest.raises(UserError, match="cannot write"):
        roll_out(settings(port), store, new.release)
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
    port: int,
    versions: Versions,
    store: FolderStore,
    given: dict[str, object],
    reason: str,
) -> None:
    old, new = versions
    roll_out(settings(port), store, old.release)
    with pytest.raises(UserError, match=reason):
        roll_out(settings(port, ready_seconds=20, **given), store, new.release)
    assert served(port) == old.release.version == current_version(store)
    assert names() == {"alsolike-test"}
