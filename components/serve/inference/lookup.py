"""The index of an id in a table of ids, found in flat arrays that all workers share."""

import numpy as np

from components.artifacts.strings import StringTable


class Lookup:
    """A hash table over a `StringTable`, with linear probing.

    A dictionary of 100,000 ids is 13 MB of objects. Each worker would soon have a copy of its own,
    because every look-up writes to a reference count. This table takes 2 MB and is never written
    to again.

    `_slots` holds indices of the table. An id with hash h is in slot h, or in the first slot after
    it that was free; -1 marks a free slot.
    """

    def __init__(self, table: StringTable) -> None:
        self._mask = (2 << len(table).bit_length()) - 1
        self._ids = table.blob.tobytes()
        hashes = np.fromiter(map(hash, table.encoded()), np.int64, len(table)) & self._mask
        order = np.argsort(hashes, kind="stable")
        # In order of hash, each id gets its own slot, or the one after the slot of the id before.
        ordinal = np.arange(len(table))
        taken = np.maximum.accumulate(hashes[order] - ordinal) + ordinal
        slots = np.full(self._mask + len(table) + 2, -1, np.int32)
        slots[taken] = order
        # Single values are read from a memoryview in half the time of an array.
        self._slots, self._offsets = slots.data, table.offsets.data

    def get(self, name: str) -> int | None:
        """The index of an id, or None if the table does not have it."""
        key = name.encode()
        slot, slots, offsets = hash(key) & self._mask, self._slots, self._offsets
        while (index := slots[slot]) >= 0:
            if self._ids[offsets[index] : offsets[index + 1]] == key:
                return index
            slot += 1
        return None
