"""Arrays in safetensors files: written, mapped into memory whole, or read a few rows at a time.

The format is an unsigned 64-bit length, that many bytes of JSON, then the arrays' bytes
(https://huggingface.co/docs/safetensors).
"""

import json
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from components.errors import UserError

_NOT_SAFETENSORS = (
    *(OSError, ValueError, KeyError, IndexError, TypeError, AttributeError),
    RecursionError,  # the header is nested too deeply
)
_DTYPES = {"U8": "u1", "I32": "<i4", "I64": "<i8", "F32": "<f4"}


def write_tensors(arrays: Mapping[str, npt.NDArray[Any]], file: Path) -> None:
    """Write arrays, contiguous in memory, to a file that is as open to others as any new file.

    By itself the library closes it to all but its owner, and a server runs as another user.
    """
    file.touch()
    mode = file.stat().st_mode
    save_file(dict(arrays), file)
    file.chmod(mode)


def map_tensors(file: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file as read-only views of one memory map.

    Raises:
        UserError: if the file is not a whole safetensors file.
    """
    try:
        # A plain array: every slice of a memmap object would cost microseconds.
        mapped = np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))
        start, header = _header(mapped)
        return {name: _view(mapped[start:], entry) for name, entry in header.items()}
    except _NOT_SAFETENSORS as error:
        raise UserError(f"{file} is no safetensors file: {error}") from None


class Rows:
    """One array of a safetensors file whose rows are read when they are asked for.

    A process keeps every page of a map that it ever touched, and of an array with a row a customer
    it touches all in time. Rows that are read stay in the system's page cache alone, for a
    microsecond more each.
    """

    def __init__(self, file: Path, name: str) -> None:
        """Open an array of a file that `map_tensors` takes."""
        start, header = _header(np.memmap(file, dtype=np.uint8, mode="r"))
        entry = header[name]
        self._dtype = np.dtype(_DTYPES[entry["dtype"]])
        self._row_shape = tuple(entry["shape"][1:])
        self._row_bytes = self._dtype.itemsize * int(np.prod(self._row_shape))
        self._begin = start + entry["data_offsets"][0]
        self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)

    def between(self, start: int, stop: int) -> npt.NDArray[Any]:
        """The rows from `start` to before `stop`, which the array must have.

        Raises:
            OSError: if they cannot be read.
        """
        rows = np.empty((stop - start, *self._row_shape), self._dtype)
        place = self._begin + start * self._row_bytes
        if os.preadv(self._descriptor, [rows.data], place) != rows.nbytes:
            raise OSError("a file of arrays was cut while it was open")
        return rows


def _header(mapped: npt.NDArray[np.uint8]) -> tuple[int, dict[str, Any]]:
    """Where the arrays' bytes start, and each array's entry."""
    start = 8 + int(mapped[:8].view("<u8")[0])
    header: dict[str, Any] = json.loads(mapped[8:start].tobytes())
    header.pop("__metadata__", None)
    return start, header


def _view(data: npt.NDArray[np.uint8], entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    begin, end = entry["data_offsets"]
    if end > len(data):
        raise ValueError("it is cut short")
    array = data[begin:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    # The format asks for no alignment, and a `memoryview` is read by values that have it.
    return np.require(array, requirements="A")
