"""Where learning stands, kept in a folder or in S3, so that a step that was killed can go on."""

import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from pyarrow.fs import FileSystem, S3FileSystem

from components.errors import UserError
from components.images import VERSION

log = logging.getLogger(__name__)

State = dict[str, npt.NDArray[Any]]
"""All that a model needs to go on from where it was, by name."""
History = list[dict[str, float]]
"""Figures by step, the first step first."""

_HISTORY = "history"


@dataclass(frozen=True)
class Checkpoint:
    """The latest step of one thing that is learned; the file of a step replaces the one before.

    Attributes:
        location: as the user knows it.
        filesystem: what holds the file, or None to keep nothing.
        file: its path there.
    """

    location: str = ""
    filesystem: FileSystem | None = None
    file: str = ""

    def read(self) -> tuple[History, State | None]:
        """The steps that were taken and the state after them; none of either at the start.

        Nor are there any if the file is cut short, by a step that was killed as it wrote to S3.

        Raises:
            UserError: if there is a file that cannot be read.
        """
        if self.filesystem is None:
            return [], None
        with _explained(self.location):
            try:
                with self.filesystem.open_input_stream(self.file) as stream:
                    state = dict(np.load(io.BytesIO(stream.read())))
            except FileNotFoundError:
                return [], None
            except (BadZipFile, ValueError):
                log.warning("checkpoints=%s: one is damaged: beginning afresh", self.location)
                return [], None
        return json.loads(state.pop(_HISTORY).tobytes()), state

    def write(self, history: History, state: Callable[[], State]) -> None:
        """Keep a step; a reader finds the step before or this one, and both whole.

        If it cannot be written, that is said, and learning goes on: it needs no checkpoint.
        """
        if self.filesystem is None:
            return
        encoded = np.frombuffer(json.dumps(history).encode(), np.uint8)
        arrays = {**state(), _HISTORY: encoded}
        try:
            # In S3 a file appears when it is whole, and to move it is to copy it, up to 5 GB.
            if isinstance(self.filesystem, S3FileSystem):
                _save(self.filesystem, self.file, arrays)
            else:
                self._replace(self.filesystem, arrays)
        except OSError as error:
            log.warning("checkpoints=%s: a step is not kept: %s", self.location, _line(error))

    def _replace(self, filesystem: FileSystem, arrays: State) -> None:
        # The folder is gone if another run, the same as this, is over.
        filesystem.create_dir(str(PurePosixPath(self.file).parent))
        partial = f"{self.file}.{uuid4().hex}.partial"
        try:
            _save(filesystem, partial, arrays)
            filesystem.move(partial, self.file)
        except OSError:
            with suppress(OSError):
                filesystem.delete_file(partial)
            raise


class Checkpoints:
    """The checkpoints of one run: of one input, with the same settings, by one version of this.

    Of two runs that are the same at the same time, either may find what the other has kept, and
    the first to end takes it away; the other goes on, and keeps its next step.
    """

    def __init__(self, location: str, run: Mapping[str, Any]) -> None:
        """Open the place; it need not exist yet.

        Args:
            location: a folder or an s3:// URI, or nothing to keep nothing.
            run: plain values that tell this run from others that keep theirs in the same place.

        Raises:
            UserError: if there can be no such place.
        """
        self._location, self._filesystem, self._folder = location, None, ""
        if not location:
            return
        with _explained(location):
            place = location if "://" in location else str(Path(location).absolute())
            self._filesystem, folder = FileSystem.from_uri(place)
            self._folder = f"{folder}/{_digest([VERSION, run])}"
            self._filesystem.create_dir(self._folder)

    def of(self, *what: Any) -> Checkpoint:
        """The checkpoint of one thing that is learned, told from others by plain values."""
        return Checkpoint(self._location, self._filesystem, f"{self._folder}/{_digest(what)}")

    def clear(self) -> None:
        """Remove them: the run is over. If they cannot be removed, that is said."""
        if self._filesystem is None:
            return
        try:
            self._filesystem.delete_dir(self._folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("checkpoints=%s: they are still there: %s", self._location, _line(error))


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _save(filesystem: FileSystem, file: str, arrays: State) -> None:
    """Write arrays one after the other, without a second copy of them all."""
    with filesystem.open_output_stream(file) as stream:
        np.savez(stream, **arrays)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


@contextmanager
def _explained(location: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise UserError(
            f"checkpoints={location}: {_line(error)}: name a folder or an s3:// "
            f"URI that can be written, or leave it empty"
        ) from None
