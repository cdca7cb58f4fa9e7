"""Which place an id has in a table of ids, found in flat arrays that all workers share."""

import numpy as np

from components.artifacts.strings import StringTable


class Lookup:
    """A hash table over a `StringTable`.

    A dictionary of 100,000 ids is 13 MB of objects, which every worker would come to have for
    itself: to look one up writes to its reference count. This is 2 MB, never written again.

    `slots` holds places of the table: that of an id with hash h is at h or, where others have
    taken that, in the first of the slots after it that was free (linear probing); -1 is free.
    """

    def __init__(self, table: StringTable) -> None:
        self._mask = (2 << len(table).bit_length()) - 1
        self._ids = table.blob.tobytes()
        wanted = np.fromiter(map(hash, table.encoded()), np.int64, len(table)) & self._mask
        order = np.argsort(wanted, kind="stable")
        # In order of hash, each gets the slot that it wants or the one after its forerunner's.
        nth = np.arange(len(table))
        taken = np.maximum.accumulate(wanted[order] - nth) + nth
        slots = np.full(self._mask + len(table) + 2, -1, np.int32)
        slots[taken] = order
        # Of one value, these views are read in half the time of an array.
        self._slots, self._offsets = slots.data, table.offsets.data

    def get(self, name: str) -> int | None:
        """The place of an id, or None where the table has no such id."""
        key = name.encode()
        slot, slots, offsets = hash(key) & self._mask, self._slots, self._offsets
        while (place := slots[slot]) >= 0:
            if self._ids[offsets[place] : offsets[place + 1]] == key:
                return place
            slot += 1
        return None
