"""The `splits` artifact: filtered ratings by integer index, held out by time.

| file | columns |
|---|---|
| `train.parquet`, `validation.parquet`, `test.parquet` | user, item, star_rating, rated_at |
| `customers.parquet` | customer_id, ratings; the row number is the user index, ids ascending |
| `products.parquet` | product_id, product_title, product_category, ratings; likewise for items |
| `statistics.json` | the long tail before and after filtering, stars, dates, rows removed by \
rule, the number of customers without a history in the later parts of a temporal split, and `ties` |

A table may also be a folder of that name with files `part-00000.parquet`, …; in order, they are it.

Rows of a split are in order of user, then instant, then item. `ties` counts, in `validation` and in
`test`, the ratings that share customer and instant with a rating in another part: the seed decided
which of them is in which part. The details of the manifest are `rows` (by split), `scale` (the
lowest and the highest rating), `settings` (of the prepare step) and `source` (the URI of the
ratings in the settings).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts.folder import RatedFolder
from components.artifacts.instants import INSTANT, RESOLUTIONS

KIND = "splits"
SCHEMA_VERSION = 2

TRAIN = "train.parquet"
VALIDATION = "validation.parquet"
TEST = "test.parquet"
CUSTOMERS = "customers.parquet"
PRODUCTS = "products.parquet"
STATISTICS = "statistics.json"

RATINGS_SCHEMA = pa.schema(
    {
        "user": pa.int32(),
        "item": pa.int32(),
        "star_rating": pa.float32(),
        "rated_at": INSTANT,
    }
)
CUSTOMERS_SCHEMA = pa.schema({"customer_id": pa.string(), "ratings": pa.int32()})
PRODUCTS_SCHEMA = pa.schema(
    {
        "product_id": pa.string(),
        "product_title": pa.string(),
        "product_category": pa.string(),
        "ratings": pa.int32(),
    }
)


@dataclass(frozen=True)
class Ratings:
    """Ratings as parallel arrays, in order of user, then instant, then item.

    Attributes:
        users: user indices, int32.
        items: item indices, int32.
        stars: ratings on the source's own scale, float32.
        instants: microseconds since 1970, UTC, int64.
    """

    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    stars: npt.NDArray[np.float32]
    instants: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.users)

    @property
    def days(self) -> npt.NDArray[np.int32]:
        """Days since 1970-01-01, UTC, int32."""
        return (self.instants // RESOLUTIONS["day"]).astype(np.int32)

    def where(self, mask: npt.NDArray[np.bool_]) -> "Ratings":
        """The rows that a mask selects."""
        return Ratings(*(column[mask] for column in self.columns))

    def merged_with(self, later: "Ratings") -> "Ratings":
        """Both sets in the common order; at the same user and instant, `later` comes last."""
        columns = [np.concatenate(pair) for pair in zip(self.columns, later.columns, strict=True)]
        is_later = np.repeat([0, 1], [len(self), len(later)])
        order = np.lexsort((is_later, columns[3], columns[0]))
        return Ratings(*(column[order] for column in columns))

    @property
    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        """The arrays, in the order of the attributes."""
        return self.users, self.items, self.stars, self.instants


def liked(ratings: Ratings, history: Ratings, liked_stars: float = 0) -> npt.NDArray[np.bool_]:
    """Whether customers liked what they rated, bool [n].

    Args:
        ratings: the n ratings to judge.
        history: earlier ratings of the same customers.
        liked_stars: the fewest stars of a liked product; 0 for the mean of the customer's history,
            or of everyone's for a customer without one.
    """
    if liked_stars:
        return ratings.stars >= liked_stars
    customers = 1 + max(int(part.users.max(initial=0)) for part in (ratings, history))
    counts = np.bincount(history.users, minlength=customers)
    sums = np.bincount(history.users, history.stars, customers)
    everyone = history.stars.mean(dtype=np.float64)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), everyone)
    return np.asarray(ratings.stars.astype(np.float64) >= means[ratings.users])


class Splits(RatedFolder):
    """A `splits` artifact, whose tables are read on first use."""

    kind = KIND
    schema_version = SCHEMA_VERSION

    @cached_property
    def train(self) -> Ratings:
        """The ratings to train on."""
        return self._ratings(TRAIN)

    @cached_property
    def validation(self) -> Ratings:
        """The ratings to choose settings by."""
        return self._ratings(VALIDATION)

    @cached_property
    def test(self) -> Ratings:
        """The ratings to evaluate the final model with."""
        return self._ratings(TEST)

    @cached_property
    def customers(self) -> pa.Table:
        """One row for each customer, in order of the user index."""
        return pq.read_table(self.path / CUSTOMERS, schema=CUSTOMERS_SCHEMA)

    @cached_property
    def products(self) -> pa.Table:
        """One row for each product, in order of the item index."""
        return pq.read_table(self.path / PRODUCTS, schema=PRODUCTS_SCHEMA)

    def _ratings(self, name: str) -> Ratings:
        table = pq.read_table(self.path / name, schema=RATINGS_SCHEMA)
        return Ratings(
            table["user"].to_numpy(),
            table["item"].to_numpy(),
            table["star_rating"].to_numpy(),
            table["rated_at"].cast(pa.int64()).to_numpy(),
        )
