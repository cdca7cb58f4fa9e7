"""Where bundles come from: a folder, or a link that a deployment switches."""

import logging
import math
import time
from pathlib import Path

from components.errors import UserError
from components.serve.inference.bundle import Bundle

# After a bundle was refused, perhaps for a reason that passes; twice as long each time.
_MIN_RETRY_SECONDS = 2.0
_MAX_RETRY_SECONDS = 300.0

logger = logging.getLogger(__name__)


class BundleSource:
    """Opens the bundle at a folder, and the ones that take its place.

    Attributes:
        bundle: the last one that was valid.
    """

    def __init__(self, folder: Path) -> None:
        """Open the bundle.

        Raises:
            UserError: if it is not valid.
        """
        self._folder = folder
        self._checked = self._fingerprint()
        self._retry_at = math.inf
        self._retry_seconds = _MIN_RETRY_SECONDS
        self.bundle = Bundle.open(folder)

    @property
    def due(self) -> bool:
        """Whether another bundle is there, or it is time to try a refused one again."""
        return self._fingerprint() != self._checked or time.monotonic() > self._retry_at

    def refresh(self) -> bool:
        """Open the bundle that is there now; return whether it is valid, log why it is not."""
        before, self._checked = self._checked, self._fingerprint()
        if self._checked != before:
            self._retry_seconds = _MIN_RETRY_SECONDS
        self._retry_at = math.inf
        if self._checked is None:
            return False
        try:
            self.bundle = Bundle.open(self._folder)
        except UserError as error:
            logger.error("refused: %s; version %s keeps serving", error, self.bundle.version)
        except Exception:  # an unexpected bundle must not end the server
            logger.exception("refused; version %s keeps serving", self.bundle.version)
        else:
            return True
        self._retry_at = time.monotonic() + self._retry_seconds
        self._retry_seconds = min(2 * self._retry_seconds, _MAX_RETRY_SECONDS)
        return False

    def _fingerprint(self) -> object:
        """A value that changes with the bundle at the folder; None while there is none."""
        try:
            folder = self._folder.resolve(strict=True)
            manifest = (folder / "manifest.json").stat()
        except (OSError, RuntimeError):  # Python 3.11 raises the latter at a loop of links
            return None
        return folder, manifest.st_ino, manifest.st_mtime_ns
