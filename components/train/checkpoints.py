"""Checkpoints of training in a folder or in S3, from which a killed step can resume."""

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
"""The arrays, by name, from which a model resumes training."""
History = list[dict[str, float]]
"""The figures of each step, the first step first."""

_HISTORY = "history"


@dataclass(frozen=True)
class Checkpoint:
    """The latest step of one trial; the file of a step replaces that of the step before.

    Attributes:
        location: the folder or URI as the user wrote it, for messages.
        filesystem: the file system that holds the file, or None to keep nothing.
        file: the path of the file there.
    """

    location: str = ""
    filesystem: FileSystem | None = None
    file: str = ""

    def read(self) -> tuple[History, State | None]:
        """Read the steps taken so far and the state after the last; empty and None at the start.

        A file that was cut short, because the step was killed while writing to S3, counts as none.

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
                log.warning("checkpoints=%s: damaged checkpoint: starting afresh", self.location)
                return [], None
        return json.loads(state.pop(_HISTORY).tobytes()), state

    def write(self, history: History, state: Callable[[], State]) -> None:
        """Write a step. A reader finds either the previous step or this one, never a part.

        If it cannot be written, a warning is logged and training continues without it.
        """
        if self.filesystem is None:
            return
        encoded = np.frombuffer(json.dumps(history).encode(), np.uint8)
        arrays = {**state(), _HISTORY: encoded}
        try:
            # S3 shows a file only when it is complete, and moving one there means copying it.
            if isinstance(self.filesystem, S3FileSystem):
                _save(self.filesystem, self.file, arrays)
            else:
                self._replace(self.filesystem, arrays)
        except OSError as error:
            log.warning("checkpoints=%s: cannot write a step: %s", self.location, _line(error))

    def _replace(self, filesystem: FileSystem, arrays: State) -> None:
        # An identical run that finished meanwhile has removed the folder.
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
    """The checkpoints of one run, identified by its input, its settings and the code's version.

    Two identical runs at the same time share their checkpoints. The first to finish removes them;
    the other continues, and writes its next step again.
    """

    def __init__(self, location: str, run: Mapping[str, Any]) -> None:
        """Open the location, and create it if it does not exist.

        Args:
            location: a folder or an s3:// URI; empty to keep no checkpoints.
            run: values for JSON that distinguish this run from others at the same location.

        Raises:
            UserError: if the location cannot be opened or created.
        """
        self._location = location
        self._filesystem: FileSystem | None = None
        self._folder = ""
        if not location:
            return
        with _explained(location):
            place = location if "://" in location else str(Path(location).absolute())
            self._filesystem, folder = FileSystem.from_uri(place)
            self._folder = f"{folder}/{_digest([VERSION, run])}"
            self._filesystem.create_dir(self._folder)

    def of(self, *what: Any) -> Checkpoint:
        """The checkpoint of one trial, which values for JSON distinguish from the others."""
        return Checkpoint(self._location, self._filesystem, f"{self._folder}/{_digest(what)}")

    def clear(self) -> None:
        """Remove all checkpoints at the end of the run, or log a warning if that fails."""
        if self._filesystem is None:
            return
        try:
            self._filesystem.delete_dir(self._folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("checkpoints=%s: cannot remove them: %s", self._location, _line(error))


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _save(filesystem: FileSystem, file: str, arrays: State) -> None:
    """Write the arrays one after the other, without holding a second copy of all of them."""
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
            f"checkpoints={location}: {_line(error)}: name a folder or an s3:// URI that can be "
            "written to, or leave it empty"
        ) from None
