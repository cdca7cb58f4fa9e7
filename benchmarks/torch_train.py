"""Matrix factorization with biases in PyTorch, on the CPU: as our `mf`, for `train` to compare.

Runs in an environment that has PyTorch and NumPy alone. Prints examples a second over some
seconds of an epoch, after a few batches to warm up.
"""

import sys
from time import perf_counter

import numpy as np
import torch  # type: ignore[import-not-found]

LEARNING_RATE, WEIGHT_DECAY = 0.1, 0.02
WARM_UP_BATCHES = 10
SECONDS = 8


def main() -> None:
    file, *sizes = sys.argv[1:]
    customers, products, width, batch = map(int, sizes)
    data = np.load(file)
    users, items = (torch.from_numpy(data[name].astype(np.int64)) for name in ("users", "items"))
    stars = torch.from_numpy(data["stars"] - data["stars"].mean())
    torch.manual_seed(0)
    # The last column is the bias, so that one look-up a side fetches both.
    tables = [torch.nn.Embedding(rows, width + 1, sparse=True) for rows in (customers, products)]
    for table in tables:
        torch.nn.init.normal_(table.weight, std=0.1 / width**0.5)
    optimizer = torch.optim.Adagrad([table.weight for table in tables], lr=LEARNING_RATE)

    def learn(users: torch.Tensor, items: torch.Tensor, stars: torch.Tensor) -> None:
        left, right = tables[0](users), tables[1](items)
        predicted = (left[:, :-1] * right[:, :-1]).sum(1) + left[:, -1] + right[:, -1]
        norm = left.square().sum(1) + right.square().sum(1)
        loss = ((predicted - stars).square() + WEIGHT_DECAY * norm).mean() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

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
