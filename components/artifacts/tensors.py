"""Write safetensors files, map them into memory, or read some of their rows.

The format is the length of a header as an unsigned 64-bit integer, the header in JSON, then the
bytes of the arrays (https://huggingface.co/docs/safetensors).
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
    """Write contiguous arrays to a file with the usual permissions of a new file.

    The library itself makes files that only their owner can read, but servers run as another user.
    """
    file.touch()
    mode = file.stat().st_mode
    save_file(dict(arrays), file)
    file.chmod(mode)


def map_tensors(file: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file as read-only views of one memory map.

    Raises:
        UserError: if the file is not a complete safetensors file.
    """
    try:
        # A plain array, because slicing a memmap object takes microseconds more.
        mapped = np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))
        start, header = _header(mapped)
        return {name: _view(mapped[start:], entry) for name, entry in header.items()}
    except _NOT_SAFETENSORS as error:
        raise UserError(f"{file} is not a safetensors file: {error}") from None


class Rows:
    """An array of a safetensors file whose rows are read from the file on request.

    A process keeps every page of a memory map that it has touched, and in time a server would touch
    all pages of an array with a row for each customer. Rows that are read from the file are only in
    the page cache of the system, at the cost of a microsecond for each read.
    """

    def __init__(self, file: Path, name: str) -> None:
        """Open an array of a file that `map_tensors` accepts."""
        start, header = _header(np.memmap(file, dtype=np.uint8, mode="r"))
        entry = header[name]
        self._dtype = np.dtype(_DTYPES[entry["dtype"]])
        self._row_shape = tuple(entry["shape"][1:])
        self._row_bytes = self._dtype.itemsize * int(np.prod(self._row_shape))
        self._begin = start + entry["data_offsets"][0]
        self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)

    def row(self, index: int) -> npt.NDArray[Any]:
        """One row, which the array must have, read-only.

        Raises:
            OSError: if it cannot be read.
        """
        place = self._begin + index * self._row_bytes
        data = os.pread(self._descriptor, self._row_bytes, place)
        if len(data) != self._row_bytes:
            raise OSError("a file of arrays has become shorter since it was opened")
        return np.frombuffer(data, self._dtype)

    def between(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Read the rows from `start` to before `stop`, which must be in the array.

        Raises:
            OSError: if they cannot be read.
        """
        rows = np.empty((stop - start, *self._row_shape), self._dtype)
        place = self._begin + start * self._row_bytes
        if os.preadv(self._descriptor, [rows.data], place) != rows.nbytes:
            raise OSError("the file has become shorter since it was opened")
        return rows


def _header(mapped: npt.NDArray[np.uint8]) -> tuple[int, dict[str, Any]]:
    """The position where the bytes of the arrays start, and the header's entry of each array."""
    start = 8 + int(mapped[:8].view("<u8")[0])
    header: dict[str, Any] = json.loads(mapped[8:start].tobytes())
    header.pop("__metadata__", None)
    return start, header


def _view(data: npt.NDArray[np.uint8], entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    begin, end = entry["data_offsets"]
    if end > len(data):
        raise ValueError("it is cut short")
    array = data[begin:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    # The format does not align arrays, but reading a `memoryview` by values needs alignment.
    return np.require(array, requirements="A")
