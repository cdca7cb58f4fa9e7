"""Two versions, a server on each, and a cluster to take them to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from components import polling
from components.artifacts.bundles import FolderStore
from components.deploy.bundle import write_bundle
from components.deploy.server import Server
from components.deploy.targets.target import Release
from components.errors import UserError
from tests.deploy.fake_cluster import FakeCluster, serve_cluster
from tests.serve.bundles import make_model
from tests.serve.bundles import write_bundle as write_model


@dataclass(frozen=True)
class Served:
    """A release, and the address of a server on it."""

    release: Release
    address: str


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Served]]:
    """An old and a new version, stored and served."""
    folder = tmp_path_factory.mktemp("versions")
    servers = []
    for seed in range(2):
        model = write_model(folder / f"model-{seed}", make_model(seed=seed))
        write_bundle(folder / f"bundle-{seed}", model)
        servers.append(Server(folder / f"bundle-{seed}"))
    try:
        for server in servers:
            server.wait(60)
        old, new = (
            Served(_release(folder / f"bundle-{seed}"), server.address)
            for seed, server in enumerate(servers)
        )
        yield old, new
    finally:
        for server in servers:
            server.stop()


def _release(bundle: Path) -> Release:
    version = FolderStore(bundle.with_suffix(".store")).add(bundle)
    return Release(version, bundle, f"s3://models/demo/versions/{version}")


@pytest.fixture
def store(tmp_path: Path, versions: tuple[Served, Served]) -> FolderStore:
    """A store with both versions, none of them current."""
    store = FolderStore(tmp_path / "store")
    for served in versions:
        store.add(served.release.bundle)
    return store


@pytest.fixture
def break_store(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and the store can no longer be written."""

    def refuse(version: str) -> None:
        raise UserError(f"cannot write {version}")

    return lambda: monkeypatch.setattr(store, "make_current", refuse)


class Clock:
    """Moved by sleeping alone, so that a limit allows as many looks on any machine."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture
def fake_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster that the kubeconfig of the environment names."""
    with serve_cluster() as (fake, url):
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(_kubeconfig(url)))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        monkeypatch.setattr(polling, "time", Clock())
        yield fake


def _kubeconfig(url: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": "test"}}],
    }
