"""Matrix factorization with biases in PyTorch, on the CPU: as our `mf`, for `train` to compare.

Runs in an environment that has PyTorch and NumPy alone. Prints examples a second over whole
epochs, after one to warm up.
"""

import sys
from time import perf_counter

import numpy as np
import torch  # type: ignore[import-not-found]

LEARNING_RATE, WEIGHT_DECAY = 0.1, 0.02


def main() -> None:
    file, *sizes = sys.argv[1:]
    customers, products, width, batch, epochs = map(int, sizes)
    data = np.load(file)
    users, items = (torch.from_numpy(data[name].astype(np.int64)) for name in ("users", "items"))
    stars = torch.from_numpy(data["stars"] - data["stars"].mean())
    torch.manual_seed(0)
    # The last column is the bias, so that one look-up a side fetches both.
    tables = [torch.nn.Embedding(rows, width + 1, sparse=True) for rows in (customers, products)]
    for table in tables:
        torch.nn.init.normal_(table.weight, std=0.1 / width**0.5)
    optimizer = torch.optim.Adagrad([table.weight for table in tables], lr=LEARNING_RATE)

    def run_epoch() -> None:
        order = torch.randperm(len(stars))
        columns = users[order], items[order], stars[order]
        for start in range(0, len(stars), batch):
            user, item, star = (column[start : start + batch] for column in columns)
            left, right = tables[0](user), tables[1](item)
            predicted = (left[:, :-1] * right[:, :-1]).sum(1) + left[:, -1] + right[:, -1]
            norm = left.square().sum(1) + right.square().sum(1)
            loss = ((predicted - star).square() + WEIGHT_DECAY * norm).mean() / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    run_epoch()
    start = perf_counter()
    for _ in range(epochs):
        run_epoch()
    print(epochs * len(stars) / (perf_counter() - start))


if __name__ == "__main__":
    main()
