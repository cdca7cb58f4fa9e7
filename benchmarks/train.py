"""How fast networks learn, beside the notebook's loop and beside PyTorch on the CPU.

`make bench-train`; the last line of stdout is one JSON object, kept in results/train.json. In turn,
in each round: the notebook's loop (`notebook_train`), our `mf` with 64 dimensions as the training
step runs it, and the same model and optimizer in PyTorch (`torch_train`, in an environment of its
own; left out where it cannot be installed). Each tells examples a second after a warm-up: ours over
whole epochs, shuffling included, the others over batches alone. Ratios are medians over the rounds
of figures of one round.

| figure | of |
|---|---|
| `speedup_300k`, `speedup_1200k` | ours over the notebook's loop, on so many training rows |
| `versus_torch` | ours over PyTorch, on 1.2M rows |
| `catalogue_slope` | seconds an example with 2M customers over that with 50k |
| `examples_per_s` | ours on 1.2M rows |
| `load_of_others` | the machine's load when it began: only near 0 are the figures worth quoting |
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from time import perf_counter

import mxnet as mx
import numpy as np

from benchmarks.notebook_train import examples_per_second as notebook
from components.artifacts.splits import Ratings
from components.train.rating.sgd import SgdModel
from components.train.rating.trials import Problem

CACHE = Path(__file__).parent / ".cache"
RESULTS = Path(__file__).parent / "results" / "train.json"
TORCH = CACHE / "torch"
TORCH_VERSION = "2.13.0"
DIMENSIONS, BATCH, WEIGHT_DECAY = 64, 1024, 0.05
ROWS_A_CUSTOMER, ROWS_A_PRODUCT = 8, 30
SLOPE_ROWS, SLOPE_PRODUCTS = 1_200_000, 40_000
EPOCHS = 2

Rate = Callable[[Problem], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    systems: dict[str, Rate] = {"notebook": notebook, "ours": ours}
    if torch_is_there():
        systems["torch"] = torch
    small, large = (
        make_problem(rows, rows // ROWS_A_CUSTOMER, rows // ROWS_A_PRODUCT)
        for rows in (300_000, 1_200_000)
    )
    few, many = (
        make_problem(SLOPE_ROWS, customers, SLOPE_PRODUCTS) for customers in (50_000, 2_000_000)
    )
    rounds, load = [], os.getloadavg()[0]
    for number in range(options.rounds):
        figures = {
            f"{name}_{size}": rate(problem)
            for size, problem in (("300k", small), ("1200k", large))
            for name, rate in systems.items()
        }
        figures |= {"few_customers": ours(few), "many_customers": ours(many)}
        print(f"round {number + 1}:", json.dumps(figures), flush=True)
        rounds.append(figures)
    result = summarize(rounds) | {"load_of_others": round(load, 1)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def make_problem(rows: int, customers: int, products: int) -> Problem:
    """Stars of a planted taste; products follow Zipf's law, customers rate about as often."""
    random = np.random.default_rng(0)
    chances = 1 / np.arange(10, products + 10)
    users = random.integers(0, customers, rows).astype(np.int32)
    items = random.choice(products, rows, p=chances / chances.sum()).astype(np.int32)
    tastes, traits = random.normal(0, 0.5, (customers, 4)), random.normal(0, 0.5, (products, 4))
    stars = 4 + (tastes[users] * traits[items]).sum(1) + random.normal(0, 0.7, rows)
    stars = stars.round().clip(1, 5).astype(np.float32)
    ratings = Ratings(users, items, stars, np.zeros(rows, np.int64))
    return Problem(ratings, customers, products, (1.0, 5.0))


def ours(problem: Problem) -> float:
    """Examples a second over whole epochs, after one to warm up."""
    model = SgdModel("mf", DIMENSIONS, BATCH, 0, 0, WEIGHT_DECAY, 0, (mx.cpu(),))
    learning = model.train(problem)
    next(learning)
    start = perf_counter()
    list(islice(learning, EPOCHS))
    return EPOCHS * len(problem.ratings) / (perf_counter() - start)


def torch_is_there() -> bool:
    """Install PyTorch beside this environment, which it does not fit in, unless it is there."""
    if not TORCH.exists():
        subprocess.run([sys.executable, "-m", "venv", str(TORCH)], check=True)
    pip = [str(TORCH / "bin" / "pip"), "install", "--quiet", f"torch=={TORCH_VERSION}", "numpy"]
    installed = subprocess.run(pip, stdout=sys.stderr).returncode == 0
    if not installed:
        print(f"PyTorch {TORCH_VERSION} could not be installed: left out", flush=True)
    return installed


def torch(problem: Problem) -> float:
    """The same model in PyTorch, in a process of its own."""
    data = CACHE / "train.npz"
    ratings = problem.ratings
    np.savez(data, users=ratings.users, items=ratings.items, stars=ratings.stars)
    sizes = (problem.customers, problem.products, DIMENSIONS, BATCH)
    program = Path(__file__).with_name("torch_train.py")
    command = [str(part) for part in (TORCH / "bin" / "python", program, data, *sizes)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(told.stdout)


def summarize(rounds: list[dict[str, float]]) -> dict[str, float | int | str]:
    """Medians over the rounds."""

    def ratio(over: str, under: str) -> float:
        return round(statistics.median(one[over] / one[under] for one in rounds), 3)

    result: dict[str, float | int | str] = {
        "benchmark": "train",
        "speedup_300k": ratio("ours_300k", "notebook_300k"),
        "speedup_1200k": ratio("ours_1200k", "notebook_1200k"),
        "catalogue_slope": ratio("few_customers", "many_customers"),
        "examples_per_s": round(statistics.median(one["ours_1200k"] for one in rounds)),
        "rounds": len(rounds),
        "cores": os.cpu_count() or 1,
    }
    if "torch_1200k" in rounds[0]:
        result["versus_torch"] = ratio("ours_1200k", "torch_1200k")
    by_system = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    return result | {f"{name}_examples_per_s": round(rate) for name, rate in by_system.items()}


if __name__ == "__main__":
    main()
