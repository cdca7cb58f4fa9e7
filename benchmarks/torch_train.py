"""Matrix factorization with biases in PyTorch, on the CPU: as our `mf`, for `train` to compare.

The same model, with sparse gradients and the same AdaGrad, a rate a row for the vector and one for
the bias, written with what PyTorch is fast at; its own Adagrad has a rate a cell and is slower.
Runs in an environment that has PyTorch and NumPy alone. Prints examples a second over some
seconds of an epoch, after a few batches to warm up.
"""

import sys
from time import perf_counter

import numpy as np
import torch  # type: ignore[import-not-found]

LEARNING_RATE, WEIGHT_DECAY, FIRST_SQUARES = 0.15, 0.05, 3.0
WARM_UP_BATCHES = 10
SECONDS = 8


class Table:
    """Embeddings [n, k + 2], of a vector, a bias and a 1 for the other side's bias to meet."""

    def __init__(self, rows: int, width: int, bias: int, one: int) -> None:
        self.embedding = torch.nn.Embedding(rows, width + 2, sparse=True)
        torch.nn.init.normal_(self.embedding.weight, std=0.1 / width**0.5)
        groups = torch.zeros(2, width + 2)
        groups[0, :width] = groups[1, bias] = 1
        self.embedding.weight.data[:, bias] = 0
        self.embedding.weight.data[:, one] = 1
        self.groups, self.means = groups, (groups / groups.sum(1, keepdim=True)).T
        self.squares = torch.zeros(rows, 2)

    def learn(self) -> None:
        gradient = self.embedding.weight.grad.coalesce()
        rows, values = gradient.indices()[0], gradient.values()
        squares = self.squares[rows] + values.square() @ self.means
        self.squares[rows] = squares
        rates = LEARNING_RATE * (squares + FIRST_SQUARES).rsqrt()
        self.embedding.weight.data.index_add_(0, rows, values * (rates @ self.groups), alpha=-1)
        self.embedding.weight.grad = None


def main() -> None:
    file, *sizes = sys.argv[1:]
    customers, products, width, batch = map(int, sizes)
    data = np.load(file)
    users, items = (torch.from_numpy(data[name].astype(np.int64)) for name in ("users", "items"))
    stars = torch.from_numpy(data["stars"] - data["stars"].mean())
    torch.manual_seed(0)
    tables = (
        Table(customers, width, width, width + 1),
        Table(products, width, width + 1, width),
    )

    def learn(users: torch.Tensor, items: torch.Tensor, stars: torch.Tensor) -> None:
        left, right = tables[0].embedding(users), tables[1].embedding(items)
        errors = (left * right).sum(1) - stars
        norm = left.square().sum(1) + right.square().sum(1)
        loss = (errors.square() + WEIGHT_DECAY * norm).sum() / 2
        loss.backward()
        for table in tables:
            table.learn()

    order = torch.randperm(len(stars))
    columns = users[order], items[order], stars[order]
    start, done = perf_counter(), 0
    for number, place in enumerate(range(0, len(stars), batch)):
        learn(*(column[place : place + batch] for column in columns))
        if number == WARM_UP_BATCHES:
            start, done = perf_counter(), -batch
        done += batch
        if number > WARM_UP_BATCHES and perf_counter() - start > SECONDS:
            break
    print(done / (perf_counter() - start))


if __name__ == "__main__":
    main()
