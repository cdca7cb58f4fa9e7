"""How large an array may be, and what to do about models that need a larger one."""

from dataclasses import dataclass

# This build of MXNet counts the cells of an array in 32 bits, and makes none of more.
MOST_CELLS = 2**31 - 2
# So many customers at a time are solved for, and added to the equations of the products.
GROUP_ROWS = 1 << 18


@dataclass(frozen=True)
class Size:
    """An array of a model, before there is one.

    Attributes:
        what: is in a row, in the words of a user. rows: how many. width: numbers a row.
    """

    what: str
    rows: int
    width: int

    @property
    def excess(self) -> str | None:
        """Why there can be no such array, or None if there can."""
        cells = self.rows * self.width
        if cells <= MOST_CELLS:
            return None
        return (
            f"{self.rows:,} {self.what} of {self.width:,} numbers each are {cells:,}, and an array "
            f"of MXNet holds {MOST_CELLS:,}"
        )
