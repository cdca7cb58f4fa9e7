"""A table of strings in two flat arrays, which can be mapped into memory without a copy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

# The number of offsets to convert to Python's integers at a time.
_BLOCK = 4096


@dataclass(frozen=True)
class StringTable:
    """Strings as their UTF-8 bytes and the positions where they begin.

    Attributes:
        blob: the bytes of all strings, uint8.
        offsets: int64 [n + 1]; string i is blob[offsets[i]:offsets[i + 1]].
    """

    blob: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, strings: Iterable[str]) -> "StringTable":
        """Pack strings, in the given order."""
        encoded = [string.encode() for string in strings]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(string) for string in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        return self._bytes(index).decode()

    def __iter__(self) -> Iterator[str]:
        return (encoded.decode() for encoded in self.encoded())

    def encoded(self) -> Iterator[bytes]:
        """The UTF-8 bytes of every string, in order, one at a time."""
        data = self.blob.tobytes()
        for start in range(0, len(self), _BLOCK):
            for begin, end in pairwise(self.offsets[start : start + _BLOCK + 1].tolist()):
                yield data[begin:end]

    def to_list(self) -> list[str]:
        """Every string, in order."""
        return list(self)

    def places(self, strings: Iterable[str]) -> npt.NDArray[np.int64]:
        """The positions of strings in the table, -1 for those that are not in it."""
        places = {encoded: place for place, encoded in enumerate(self.encoded())}
        return np.array([places.get(string.encode(), -1) for string in strings], dtype=np.int64)

    def _bytes(self, index: int) -> bytes:
        return self.blob[self.offsets[index] : self.offsets[index + 1]].tobytes()
