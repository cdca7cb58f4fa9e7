"""Which place an id has in a table of ids, found in flat arrays that all workers share."""

from itertools import pairwise

import numpy as np

from components.artifacts.strings import StringTable


class Lookup:
    """A hash table over a `StringTable`.

    A dictionary of 100,000 ids is 13 MB of objects, which every worker would come to have for
    itself: to look one up writes to its reference count. Here ids stay in the memory map, and
    1 MB of arrays is never written again.

    `order` lists the places of the table by the hash of their ids: those of hash h are
    `order[starts[h]:starts[h + 1]]`, one on average.
    """

    def __init__(self, table: StringTable) -> None:
        size = 1 << len(table).bit_length()
        self._mask = size - 1
        data, ends = table.blob.tobytes(), pairwise(table.offsets.tolist())
        hashes = (hash(data[begin:end]) for begin, end in ends)
        slots = np.fromiter(hashes, np.int64, len(table)) & self._mask
        starts = np.zeros(size + 1, np.int32)
        np.cumsum(np.bincount(slots, minlength=size), out=starts[1:])
        # Of one value, these views are read in half the time of an array.
        self._order = np.argsort(slots, kind="stable").astype(np.int32).data
        self._starts = starts.data
        self._blob, self._offsets = table.blob.data, table.offsets.data

    def get(self, name: str) -> int | None:
        """The place of an id, or None where the table has no such id."""
        key = name.encode()
        slot, offsets = hash(key) & self._mask, self._offsets
        for place in self._order[self._starts[slot] : self._starts[slot + 1]]:
            if self._blob[offsets[place] : offsets[place + 1]] == key:
                return place
        return None
