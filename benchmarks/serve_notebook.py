"""The hosting functions of AWS's Gluon recommender example, written anew for multi-model-server.

A request's ids are merged with the tables of ids by pandas, and what comes out goes through the
network. Runs in an environment of its own: `python serve_notebook.py IDS FOLDER` makes the folder
of a model, with a random network, for the customers and products of a JSON file.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pandas as pd
from mxnet import gluon, nd

DIMENSIONS = 64


class Network(gluon.HybridBlock):  # type: ignore[misc]
    """The notebook's network."""

    def __init__(self, customers: int, products: int) -> None:
        super().__init__()
        with self.name_scope():
            self.users = gluon.nn.Embedding(customers, DIMENSIONS)
            self.items = gluon.nn.Embedding(products, DIMENSIONS)
            self.user_dense = gluon.nn.Dense(DIMENSIONS, activation="relu", in_units=DIMENSIONS)
            self.item_dense = gluon.nn.Dense(DIMENSIONS, activation="relu", in_units=DIMENSIONS)
            self.dropout = gluon.nn.Dropout(0.5)

    def hybrid_forward(self, F: Any, users: Any, items: Any) -> Any:  # noqa: N803
        user = self.dropout(self.user_dense(self.users(users)))
        item = self.dropout(self.item_dense(self.items(items)))
        return F.sum(user * item, axis=1)


class Model:
    """What the notebook's `model_fn` loads, and its `transform_fn`."""

    def __init__(self, folder: Path) -> None:
        self._customers = pd.read_csv(folder / "customers.csv", dtype={"customer_id": str})
        self._products = pd.read_csv(folder / "products.csv", dtype={"product_id": str})
        self._network = Network(len(self._customers), len(self._products))
        self._network.load_parameters(str(folder / "network.params"), mx.cpu())

    def transform(self, body: dict[str, list[str]]) -> str:
        asked = pd.DataFrame(body)
        users = asked.merge(self._customers, on="customer_id", how="left")["user"].to_numpy()
        items = asked.merge(self._products, on="product_id", how="left")["item"].to_numpy()
        return json.dumps(self._network(nd.array(users), nd.array(items)).asnumpy().tolist())


_loaded: list[Model] = []


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[str]:
    """What multi-model-server calls: once without data to load, then for every request."""
    if data is None:
        _loaded.append(Model(Path(context.system_properties["model_dir"])))
        return []
    return [_loaded[0].transform(request["body"]) for request in data]


def save(folder: Path, customers: list[str], products: list[str]) -> None:
    folder.mkdir()
    for name, index, ids in (("customer", "user", customers), ("product", "item", products)):
        table = pd.DataFrame({f"{name}_id": ids, index: np.arange(len(ids))})
        table.to_csv(folder / f"{name}s.csv", index=False)
    network = Network(len(customers), len(products))
    network.initialize(mx.init.Xavier())
    network.save_parameters(str(folder / "network.params"))


if __name__ == "__main__":
    ids = json.loads(Path(sys.argv[1]).read_text())
    save(Path(sys.argv[2]), ids["customers"], ids["products"])
