"""The least that a list of ten takes: the product with NumPy and its ten largest, nothing else.

`python -m benchmarks.serve_bare BUNDLE CUSTOMERS` prints the median of milliseconds.
"""

import os
import statistics
import sys
from pathlib import Path
from time import perf_counter

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as a worker of the server has it

import numpy as np

from components.artifacts.model import Floats, Model

COUNT = 10
SECONDS = 2.0


def main() -> None:
    model = Model.load(Path(sys.argv[1]))
    assert model.ranking is not None
    users = {name: user for user, name in enumerate(model.catalogue.customers.to_list())}
    asked = Path(sys.argv[2]).read_text().split()
    taken: list[float] = []
    for customer in asked:
        user = users[customer]
        vector = model.ranking.customer_vector(user, model.seen.of(user)[0])
        start = perf_counter()
        best(model.ranking.items, vector)
        taken.append(perf_counter() - start)
        if sum(taken) > SECONDS:
            break
    print(statistics.median(taken) * 1000)


def best(items: Floats, vector: Floats) -> list[int]:
    scores = items @ vector
    largest = np.argpartition(scores, -COUNT)[-COUNT:]
    found: list[int] = largest[np.argsort(-scores[largest])].tolist()
    return found


if __name__ == "__main__":
    main()
