"""The interface of what serves a model, and the release that it is to serve."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
