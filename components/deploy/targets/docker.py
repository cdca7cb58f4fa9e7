"""Docker: one container, which is replaced after a candidate beside it has passed.

The bundle is copied into the container, so the engine may be on another machine than the store.
Docker cannot move a published port to another container: at promotion the old container stops
before the new one starts, and no request is answered for the second in between.
"""

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import DockerException, NotFound
from requests.exceptions import RequestException

from components.deploy.http import is_ready
from components.deploy.settings import DeploySettings
from components.deploy.targets.target import Release
from components.errors import UserError
from components.polling import poll

if TYPE_CHECKING:
    from docker.models.containers import Container

_PORT = "8080/tcp"
_POLL_SECONDS = 0.1
_STOP_SECONDS = 30
_VERSION = "alsolike.version"


class DockerTarget:
    """The container with the name of the endpoint, its candidate, and the one that it replaced."""

    def __init__(self, settings: DeploySettings) -> None:
        self._settings = settings
        self._name = settings.endpoint_name
        self._candidate = f"{self._name}-candidate"
        self._replaced = f"{self._name}-replaced"
        self._old: Container | None = None
        self._is_promoting = False
        with _explained():
            self._engine = docker.from_env()

    def plan(self, release: Release) -> list[str]:
        with _explained():
            old = self._find(self._name)
        change = f"container {self._name} of {self._settings.serve_image} on port"
        new = f"{change} {self._settings.port}: version {release.version}"
        return [f"{new} in place of {old.labels.get(_VERSION)}" if old else new]

    def apply(self, release: Release) -> None:
        with _explained():
            self._remove(self._candidate)
            self._start(self._candidate, release, ("127.0.0.1", None))

    def wait(self, release: Release) -> str:  # noqa: ARG002
        with _explained():
            return self._wait(self._candidate)

    def promote(self, release: Release) -> None:
        with _explained():
            self._remove(self._replaced)
            self._old = self._find(self._name)
            self._is_promoting = True
            if self._old:
                self._old.rename(self._replaced)
                self._old.stop(timeout=_STOP_SECONDS)
            self._start(self._name, release, ("127.0.0.1", self._settings.port))
            self._wait(self._name)
            self._remove(self._candidate)

    def rollback(self, release: Release) -> None:  # noqa: ARG002
        with _explained():
            self._remove(self._candidate)
            if self._is_promoting:
                self._restore()

    def _restore(self) -> None:
        """Put the old container, if there was one, in the place of the new one."""
        new = self._find(self._name)
        if new and new != self._old:
            new.remove(force=True)
        if self._old:
            self._old.reload()
            if self._old.name != self._name:
                self._old.rename(self._name)
            self._old.start()

    def _start(self, name: str, release: Release, published: tuple[str, int | None]) -> None:
        settings = self._settings
        container = self._engine.containers.create(
            settings.serve_image,
            [
                *("python", "-m", "components.serve"),
                *("--bundle=/bundle", "--host=0.0.0.0", "--port=8080"),
            ],
            name=name,
            labels={_VERSION: release.version},
            ports={_PORT: published},
            mem_limit=settings.memory_limit.removesuffix("i"),
            mem_reservation=settings.memory_request.removesuffix("i"),
            nano_cpus=_nano_cpus(settings.cpu_limit),
            restart_policy={"Name": "unless-stopped"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
        )
        with tempfile.TemporaryFile() as archive:
            with tarfile.open(fileobj=archive, mode="w") as tar:
                tar.add(release.bundle.resolve(), arcname="bundle", filter=_readable)
            archive.seek(0)
            container.put_archive("/", archive)
        container.start()

    def _wait(self, name: str) -> str:
        """Wait until a container is ready, and return its address."""
        container = self._engine.containers.get(name)

        def look() -> str | None:
            container.reload()
            # A container that ends is restarted, so its status alone does not show the end.
            if container.attrs["RestartCount"] or container.status == "exited":
                last = container.logs(tail=1).decode(errors="replace").strip()
                raise UserError(f"container {name} ended: {last}")
            if not container.ports.get(_PORT):
                return None
            address = f"http://127.0.0.1:{container.ports[_PORT][0]['HostPort']}"
            return address if is_ready(address) else None

        not_ready = f"container {name} was not ready"
        return poll(look, lambda: not_ready, self._settings.ready_seconds, pause=_POLL_SECONDS)

    def _find(self, name: str) -> "Container | None":
        try:
            return self._engine.containers.get(name)
        except NotFound:
            return None

    def _remove(self, name: str) -> None:
        if container := self._find(name):
            container.remove(force=True)


def _nano_cpus(cpu: str) -> int:
    return int(cpu[:-1]) * 10**6 if cpu.endswith("m") else int(cpu) * 10**9


def _readable(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Make a file readable for the server, which runs as another user."""
    info.mode |= 0o555 if info.isdir() else 0o444
    return info


@contextmanager
def _explained() -> Iterator[Any]:
    """Turn an error of the engine into a `UserError` of one line."""
    try:
        yield
    except (DockerException, RequestException) as error:
        raise UserError(
            f"Docker: {' '.join(str(error).split())}: check that the engine runs and has the image"
        ) from None
