"""The interface of a deployment target, and the release that it serves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Release:
    """A stored version to serve.

    Attributes:
        version: its version.
        bundle: its folder on this machine.
        location: its folder in the store, a path or an `s3://` URI.
    """

    version: str
    bundle: Path
    location: str


class Target(Protocol):
    """A service of one version, which can start another version beside it.

    All methods raise `UserError` with the reason if the target refuses.
    """

    def plan(self, release: Release) -> list[str]:
        """Describe what `apply` and `promote` would change, one line for each change."""

    def apply(self, release: Release) -> None:
        """Start the new version, without sending requests to it."""

    def wait(self, release: Release) -> str:
        """Wait until the new version is ready, and return a URL that only it answers."""

    def promote(self, release: Release) -> None:
        """Send requests to the new version."""

    def rollback(self, release: Release) -> None:
        """Restore the old version as it was before `apply`, and stop the new one."""
