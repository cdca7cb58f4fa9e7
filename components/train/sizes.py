"""The size of the arrays that a model needs, and the largest that MXNet can hold."""

from dataclasses import dataclass

# This build of MXNet counts the cells of an array in 32 bits.
MOST_CELLS = 2**31 - 2
# The number of customers that are solved for and added to the products' equations at a time.
GROUP_ROWS = 1 << 18
# The widest vectors that `bayes` tries, and its signals of each customer and product.
BAYES_RANK, BAYES_SIGNALS = 16, 16
# The widest vectors of als: the time of a sweep grows with the cube of the width.
ALS_WIDTH = 32


def packed_width(k: int) -> int:
    """The number of cells in the upper triangle of a matrix k x k."""
    return k * (k + 1) // 2


@dataclass(frozen=True)
class Size:
    """The size of an array that a model would need.

    Attributes:
        what: what a row stands for, in the plural, such as "customers".
        rows: the number of rows.
        width: the number of cells in a row.
    """

    what: str
    rows: int
    width: int

    @property
    def excess(self) -> str | None:
        """Why MXNet cannot hold such an array, or None if it can."""
        cells = self.rows * self.width
        if cells <= MOST_CELLS:
            return None
        return (
            f"{self.rows:,} {self.what} with {self.width:,} numbers each are {cells:,} numbers, "
            f"and an array of MXNet holds at most {MOST_CELLS:,}"
        )
