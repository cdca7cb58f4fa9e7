"""This machine: servers read the current bundle of the store, and load a new one by themselves.

So a new version is tested by a temporary server, and becoming the current one makes it serve.
"""

from components.deploy.server import Server
from components.deploy.settings import DeploySettings
from components.deploy.targets.target import Release


class LocalTarget:
    """A temporary server of the new version."""

    def __init__(self, settings: DeploySettings) -> None:
        self._settings = settings
        self._server: Server | None = None

    def plan(self, release: Release) -> list[str]:
        return [f"make {release.location} the current bundle"]

    def apply(self, release: Release) -> None:
        self._server = Server(release.bundle)

    def wait(self, release: Release) -> str:  # noqa: ARG002
        assert self._server is not None
        self._server.wait(self._settings.ready_seconds)
        return self._server.address

    def promote(self, release: Release) -> None:  # noqa: ARG002
        self._stop()

    def rollback(self, release: Release) -> None:  # noqa: ARG002
        self._stop()

    def _stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
