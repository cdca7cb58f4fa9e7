"""The training loop of AWS's Gluon recommender example, written anew: the baseline of `train`.

Embeddings, a dense layer, ReLU and dropout on each side, and a dot product; batches of single
examples from a DataLoader; SGD with momentum on dense gradients, so that every step updates
both embedding tables whole.
"""

import os
from time import perf_counter
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd

from components.train.rating.trials import Problem

DIMENSIONS, BATCH = 64, 1024
WARM_UP_BATCHES = 10
SECONDS = 8


class Network(gluon.HybridBlock):  # type: ignore[misc]
    """The notebook's network."""

    def __init__(self, customers: int, products: int) -> None:
        super().__init__()
        with self.name_scope():
            self.users = gluon.nn.Embedding(customers, DIMENSIONS)
            self.items = gluon.nn.Embedding(products, DIMENSIONS)
            self.user_dense = gluon.nn.Dense(DIMENSIONS, activation="relu")
            self.item_dense = gluon.nn.Dense(DIMENSIONS, activation="relu")
            self.dropout = gluon.nn.Dropout(0.5)

    def hybrid_forward(self, F: Any, users: Any, items: Any) -> Any:  # noqa: N803
        user = self.dropout(self.user_dense(self.users(users)))
        item = self.dropout(self.item_dense(self.items(items)))
        return F.sum(user * item, axis=1)


def examples_per_second(problem: Problem) -> float:
    """Over some seconds of an epoch, after a few batches to warm up."""
    ratings = problem.ratings
    columns = (ratings.users.astype(np.float32), ratings.items.astype(np.float32), ratings.stars)
    loader = gluon.data.DataLoader(
        gluon.data.ArrayDataset(*columns),
        batch_size=BATCH,
        shuffle=True,
        num_workers=os.cpu_count() or 1,
        last_batch="rollover",
    )
    network = Network(problem.customers, problem.products)
    network.initialize(mx.init.Xavier())
    network.hybridize()
    options = {"learning_rate": 0.02, "momentum": 0.9}
    trainer = gluon.Trainer(network.collect_params(), "sgd", options)
    squared = gluon.loss.L2Loss()
    start, done = perf_counter(), 0
    for number, loaded in enumerate(loader):
        # The workers leave their batches in shared memory.
        users, items, stars = (column.as_in_context(mx.cpu()) for column in loaded)
        with autograd.record():
            loss = squared(network(users, items), stars)
        loss.backward()
        trainer.step(BATCH)
        if number == WARM_UP_BATCHES:
            nd.waitall()
            start, done = perf_counter(), -BATCH
        done += BATCH
        if number > WARM_UP_BATCHES and perf_counter() - start > SECONDS:
            break
    nd.waitall()
    return done / (perf_counter() - start)
