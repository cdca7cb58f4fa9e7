"""Temporary folders that are removed, at the latest by the next one who needs such a folder."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

# A folder that is younger may not be locked yet.
_ABANDONED_SECONDS = 10.0


@contextmanager
def scratch_folder(prefix: str, folder: Path | None = None) -> Iterator[Path]:
    """A temporary folder, for as long as the block lasts.

    A process that is killed leaves its folder behind, but not the lock on it. Folders without a
    lock are removed first.

    Args:
        prefix: of its name, which is unique even among containers with equal process ids.
        folder: where to make it; by default where the system has temporary files.
    """
    _remove_abandoned(prefix, folder or Path(gettempdir()))
    with TemporaryDirectory(prefix=prefix, dir=folder) as name:
        lock = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(lock)


def _remove_abandoned(prefix: str, folder: Path) -> None:
    for found in folder.glob(f"{prefix}*"):
        with suppress(OSError):  # in use, of another user, or removed by another process
            if time.time() - found.stat().st_mtime > _ABANDONED_SECONDS:
                lock = os.open(found, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(found)
                finally:
                    os.close(lock)
