"""How long evaluation takes and how much memory, at 100,000 customers and 50,000 products.

`make bench-evaluate`; the last line of stdout is one JSON object, kept in results/evaluate.json.
The clock stretches with whatever else runs on the machine (`load_before`); CPU time does not.
Two figures: the lists of the model alone (every product scored for every customer, seen ones left
out), and the whole step as a program (baselines, intervals, slices, gate and report included).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.artifacts.model import Model, RankingFactors, RatingFactors
from components.artifacts.splits import Ratings, Splits
from components.evaluate.top_lists import best_unseen, histories_of
from tests.evaluate.worlds import (
    make_catalogue,
    make_seen,
    to_ratings,
    write_ratings,
    write_splits,
    write_trained,
)

CACHE = Path(__file__).parent / ".cache"
RESULTS = Path(__file__).parent / "results" / "evaluate.json"
DIMENSIONS = 64
RATINGS_EACH = 22


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = CACHE / f"evaluate-{options.customers}x{options.products}"
    if not folder.exists():
        make_inputs(folder, options.customers, options.products)
    load = os.getloadavg()[0]
    lists = [seconds_for_lists(folder) for _ in range(options.rounds)]
    steps = [run_step(folder) for _ in range(options.rounds)]
    result = {
        "benchmark": "evaluate",
        "customers": options.customers,
        "products": options.products,
        "dimensions": DIMENSIONS,
        "ratings": options.customers * RATINGS_EACH,
        "cores": os.cpu_count(),
        "load_before": round(load, 2),
        "rounds": options.rounds,
        "lists_seconds": round(statistics.median(lists), 2),
        "step_seconds": round(statistics.median(step.seconds for step in steps), 2),
        "step_cpu_seconds": round(statistics.median(step.cpu_seconds for step in steps), 2),
        "step_peak_mb": round(max(step.peak_mb for step in steps)),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def make_inputs(folder: Path, customers: int, products: int) -> None:
    """Ratings whose products follow Zipf's law, and a model of random factors."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        partial = Path(name) / "world"
        sets = make_sets(customers, products)
        ratings = write_ratings(partial / "ratings")
        write_splits(partial / "splits", ratings, sets, customers, products)
        write_trained(partial / "model", make_model(sets, customers, products), partial / "splits")
        partial.rename(folder)


def make_sets(customers: int, products: int) -> tuple[Ratings, Ratings, Ratings]:
    generator = np.random.default_rng(0)
    chances = 1 / np.arange(10, products + 10)
    # A pair that was drawn twice is kept once, so draw a few more and cut.
    drawn = generator.choice(products, (customers, 2 * RATINGS_EACH), p=chances / chances.sum())
    drawn.sort(axis=1)
    repeated = np.diff(drawn, axis=1, prepend=-1) == 0
    order = np.argsort(generator.random(drawn.shape) + repeated, axis=1)[:, :RATINGS_EACH]
    items = np.take_along_axis(drawn, order, axis=1)
    users = np.repeat(np.arange(customers)[:, None], RATINGS_EACH, axis=1)
    stars = generator.integers(1, 6, items.shape)
    days = 18000 + np.sort(generator.integers(0, 900, items.shape), axis=1)
    cuts = (slice(RATINGS_EACH - 2), slice(-2, -1), slice(-1, None))
    train, validation, test = (
        to_ratings([column[:, cut].ravel() for column in (users, items, stars, days)])
        for cut in cuts
    )
    return train, validation, test


def make_model(sets: tuple[Ratings, Ratings, Ratings], customers: int, products: int) -> Model:
    generator = np.random.default_rng(1)
    users = generator.normal(0, 0.1, (customers, DIMENSIONS)).astype(np.float32)
    items = generator.normal(0, 0.1, (products, DIMENSIONS)).astype(np.float32)
    train, validation, test = sets
    everything = train.merged_with(validation).merged_with(test)
    return Model(
        make_catalogue(customers, products, everything),
        make_seen(everything, test, customers),
        RatingFactors(
            users=users,
            items=items,
            user_biases=np.zeros(customers, np.float32),
            item_biases=np.zeros(products, np.float32),
            offset=np.array([3], np.float32),
            bounds=np.array([1, 5], np.float32),
        ),
        RankingFactors(
            items=items,
            item_biases=np.zeros(products, np.float32),
            histories=items,
            recency=np.array([0.8], np.float32),
            window=np.array([50], np.int32),
            users=users,
        ),
    )


def seconds_for_lists(folder: Path) -> float:
    """Every product scored for every customer, and the best 20 unseen ones kept."""
    factors = Model.load(folder / "model").ranking
    if factors is None:
        raise RuntimeError("the model of the benchmark has a ranking")
    splits = Splits.open(folder / "splits")
    history = splits.train.merged_with(splits.validation)
    products = len(factors.items)
    seen = histories_of(history, len(factors.users), products)
    ties = np.random.default_rng(0).permutation(products)
    start = time.perf_counter()
    best_unseen(lambda block: factors.scores(factors.users[block]), seen, ties)
    return time.perf_counter() - start


@dataclass(frozen=True)
class Usage:
    """What a program took: seconds by the clock and of all cores, and its largest resident set."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def run_step(folder: Path) -> Usage:
    """The whole step as a program."""
    with tempfile.TemporaryDirectory() as outputs:
        arguments = [f"--{name}={folder / name}" for name in ("ratings", "splits", "model")]
        arguments += [f"--{name}={outputs}/{name}" for name in ("report", "verdict")]
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "components.evaluate", *arguments])
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"the step ended with status {status}")
        seconds = time.perf_counter() - start
        return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
