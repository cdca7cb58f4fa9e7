"""What serves a model: the interface, and one small module a target."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from components.deploy.settings import DeploySettings


@dataclass(frozen=True)
class Release:
    """A stored version that is to serve.

    Attributes:
        version: its version.
        bundle: its folder on this machine.
        location: its folder in the store, a path or an `s3://` URI.
    """

    version: str
    bundle: Path
    location: str


class Target(Protocol):
    """Something that serves a version, and brings up another beside it.

    All methods raise `UserError` with the reason if the target refuses.
    """

    def plan(self, release: Release) -> list[str]:
        """What `apply` and `promote` would change, a line each; changes nothing."""

    def apply(self, release: Release) -> None:
        """Bring up the new version; no request goes to it yet."""

    def wait(self, release: Release) -> str:
        """Wait until the new version is ready, and return the URL of it alone."""

    def promote(self, release: Release) -> None:
        """Let requests go to the new version."""

    def rollback(self, release: Release) -> None:
        """Let the old version serve as before `apply`, and take the new one down."""


def open_target(settings: DeploySettings) -> Target:
    """The target that the settings name."""
    # The libraries of the other targets need not be there.
    match settings.target:
        case "local":
            from components.deploy.targets.local import LocalTarget

            return LocalTarget(settings)
        case "docker":
            from components.deploy.targets.docker import DockerTarget

            return DockerTarget(settings)
        case "kubernetes":
            from components.deploy.targets.kubernetes import KubernetesTarget

            return KubernetesTarget(settings)
        case "kserve":
            from components.deploy.targets.kserve import KServeTarget

            return KServeTarget(settings)
