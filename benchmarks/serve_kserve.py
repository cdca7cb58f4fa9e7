"""KServe's Python server with the same predictions by the same formula in NumPy.

Runs in an environment of its own: `python serve_kserve.py FOLDER PORT`, where FOLDER holds
`factors.npz` and `ids.json`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import kserve  # type: ignore[import-not-found]  # in its own environment
import numpy as np


class Recommender(kserve.Model):  # type: ignore[misc]
    """Predicts stars for instances with a `customer_id` and a `product_id`."""

    def __init__(self, folder: Path) -> None:
        super().__init__("recommender")
        ids = json.loads((folder / "ids.json").read_text())
        self._customers = {name: user for user, name in enumerate(ids["customers"])}
        self._products = {name: item for item, name in enumerate(ids["products"])}
        self._factors = dict(np.load(folder / "factors.npz"))
        self.ready = True

    def predict(
        self, payload: dict[str, Any], _headers: Any = None, _response_headers: Any = None
    ) -> dict[str, list[float]]:
        pairs, factors = payload["instances"], self._factors
        users = [self._customers[pair["customer_id"]] for pair in pairs]
        items = [self._products[pair["product_id"]] for pair in pairs]
        stars = np.einsum("nk,nk->n", factors["users"][users], factors["items"][items])
        stars += factors["user_biases"][users] + factors["item_biases"][items] + factors["offset"]
        return {"predictions": stars.clip(*factors["bounds"]).tolist()}


if __name__ == "__main__":
    server = kserve.ModelServer(http_port=int(sys.argv[2]), workers=1, enable_grpc=False)
    server.start([Recommender(Path(sys.argv[1]))])
