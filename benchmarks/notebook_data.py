"""What the notebook does with pandas, from a TSV.gz to Parquet: the baseline of `make bench-data`.

Read, filter customers with 5 ratings and products with 10 once, number them, hold out each
customer's last row. Prints the number of rows it read.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

KEPT = ["customer_id", "product_id", "product_title", "star_rating", "review_date"]
PAIR = ["customer_id", "product_id"]


def prepare(source: Path, output: Path) -> int:
    ratings = pd.read_csv(source, delimiter="\t", on_bad_lines="skip")[KEPT]
    customers = ratings["customer_id"].value_counts()
    products = ratings["product_id"].value_counts()
    reduced = ratings.merge(pd.DataFrame({"customer_id": customers[customers >= 5].index})).merge(
        pd.DataFrame({"product_id": products[products >= 10].index})
    )
    users = _index(reduced, "customer_id", "user")
    items = _index(reduced, "product_id", "item")
    reduced = reduced.merge(users).merge(items)
    test = reduced.groupby("customer_id").last().reset_index()
    train = reduced.merge(test[PAIR], on=PAIR, how="outer", indicator=True)
    train = train[train["_merge"] == "left_only"]
    train.to_parquet(output / "train.parquet")
    test.to_parquet(output / "test.parquet")
    users.to_parquet(output / "customers.parquet")
    items.to_parquet(output / "products.parquet")
    return len(ratings)


def _index(ratings: pd.DataFrame, column: str, name: str) -> pd.DataFrame:
    values = ratings[column].value_counts().index
    return pd.DataFrame({column: values, name: np.arange(len(values))})


if __name__ == "__main__":
    print(prepare(Path(sys.argv[1]), Path(sys.argv[2])))
