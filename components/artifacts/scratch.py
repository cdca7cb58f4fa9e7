"""Temporary folders that are removed, at the latest by the next one who needs such a folder."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp


@contextmanager
def scratch_folder(prefix: str, folder: Path | None = None) -> Iterator[Path]:
    """A temporary folder, for as long as the block lasts.

    A process that is killed leaves its folder behind, but not the lock on it. Folders without a
    lock are removed first. A folder gets its name after its lock, so that none is removed whose
    program does not lock it, or has not locked it yet.

    Args:
        prefix: of its name, which is unique even among containers with equal process ids.
        folder: where to make it; by default where the system has temporary files.
    """
    around = folder or Path(gettempdir())
    prefix = f"{prefix}locked-"
    _remove_abandoned(prefix, around)
    unnamed = Path(mkdtemp(prefix=f".{prefix}", dir=around))
    lock = os.open(unnamed, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    named = unnamed.rename(unnamed.with_name(unnamed.name.removeprefix(".")))
    try:
        yield named
    finally:
        shutil.rmtree(named, ignore_errors=True)
        os.close(lock)


def _remove_abandoned(prefix: str, folder: Path) -> None:
    for found in folder.glob(f"{prefix}*"):
        with suppress(OSError):  # in use, of another user, or removed by another process
            lock = os.open(found, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(found)
            finally:
                os.close(lock)
