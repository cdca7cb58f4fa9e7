"""Where learning stands, kept in a folder or in S3, so that a step that was killed can go on."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyarrow.fs import FileSystem
from safetensors.numpy import load, save

from components.errors import UserError

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

        Raises:
            UserError: if there is a file that cannot be read.
        """
        if self.filesystem is None:
            return [], None
        with _explained(self.location):
            try:
                with self.filesystem.open_input_stream(self.file) as stream:
                    state = load(stream.read())
            except FileNotFoundError:
                return [], None
        return json.loads(state.pop(_HISTORY).tobytes()), state

    def write(self, history: History, state: Callable[[], State]) -> None:
        """Keep a step; a reader finds the step before or this one, and both whole.

        Raises:
            UserError: if it cannot be written.
        """
        if self.filesystem is None:
            return
        encoded = np.frombuffer(json.dumps(history).encode(), np.uint8)
        partial = f"{self.file}.partial"
        with _explained(self.location):
            with self.filesystem.open_output_stream(partial) as stream:
                stream.write(save({**state(), _HISTORY: encoded}))
            self.filesystem.move(partial, self.file)


class Checkpoints:
    """The checkpoints of one run: of one input, with the same settings."""

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
            self._folder = f"{folder}/{_digest(run)}"
            self._filesystem.create_dir(self._folder)

    def of(self, *what: Any) -> Checkpoint:
        """The checkpoint of one thing that is learned, told from others by plain values."""
        return Checkpoint(self._location, self._filesystem, f"{self._folder}/{_digest(what)}")

    def clear(self) -> None:
        """Remove them: the run is over.

        Raises:
            UserError: if they cannot be removed.
        """
        if self._filesystem is not None:
            with _explained(self._location):
                self._filesystem.delete_dir(self._folder)


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def _explained(location: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise UserError(
            f"checkpoints={location}: {' '.join(str(error).split())}: name a folder or an s3:// "
            f"URI that can be written, or leave it empty"
        ) from None
