"""How well alsolike predicts stars and ranks products, beside its peers on the same splits.

`make bench-quality` (`EXTRA=ratings.tsv.gz` adds a set); the last line of stdout is one JSON
object, kept in results/quality.json: by objective, set and model the means over the seeds, the
standard deviation of the first (`spread`) and standard errors over the test ratings. Metrics named
`liked_…` are over the test ratings that the customer liked alone. `losses` names every
peer that alsolike does not beat; `beyond_error` is false where the difference is within one
standard error. `order` tells of each set how exactly its times order the ratings: their resolution,
and the part of the test ratings that share their time with another, so that the seed chose them.
Every model learns from the same rows, chooses on the same validation ratings and learns again from
both; all peers have the same time of the processor to choose in, alsolike runs as shipped. What
peers reached is kept in .cache and not measured again, unless their code or the metrics changed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import quality_data, quality_peers, quality_sets
from benchmarks.quality_data import Array, Data
from benchmarks.quality_peers import RANKING, RATING, SECONDS
from benchmarks.quality_sets import CACHE, Source, hold_out, open_sets
from components.artifacts import ratings as ratings_format
from components.artifacts.model import Model, blend
from components.artifacts.ratings import RatingsFolder
from components.artifacts.splits import STATISTICS, Splits
from components.evaluate.baselines import shrunken_bias

RESULTS = Path(__file__).parent / "results" / "quality.json"
PEERS = CACHE / "peers"
# lenskit below 2025 needs no torch, but an older NumPy than myFM asks for: it is installed last.
_INSTALLS = (
    ("scikit-surprise==1.1.5", "myfm==0.4.0", "implicit==0.7.3", "cmfrec==3.5.1.post14"),
    ("lenskit==0.14.4",),
)
OURS = "alsolike"
RANK_ALONE = "alsolike_by_rank_alone"
# Waiting threads would spend the processor's time that a peer has.
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
_METRICS = {
    "rating": ("mse", "standard_error"),
    "ranking": (
        "ndcg10",
        "standard_error",
        "recall10",
        "liked_ndcg10",
        "liked_standard_error",
        "liked_recall10",
    ),
}
# Objective, metric, its standard error, and 1 if more is better, -1 if less is.
_COMPARED = (
    ("rating", "mse", "standard_error", -1),
    ("ranking", "ndcg10", "standard_error", 1),
    ("ranking", "liked_ndcg10", "liked_standard_error", 1),
)

Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--extra", type=Path, help="ratings in the 15 columns of the Amazon reviews"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="*", help="only these sets")
    options = parser.parse_args()
    sources: dict[str, Source] = {
        "movielens_100k": quality_sets.movielens,
        "generated": quality_sets.generated,
    }
    if options.extra:
        name = options.extra.name.partition(".")[0]
        sources[name] = quality_sets.from_file(options.extra)
    install_peers()
    found: dict[tuple[str, str, str], list[Figures]] = defaultdict(list)
    sets = open_sets({name: sources[name] for name in options.sets or sources})
    for name, prepared in sets.items():
        for seed in range(options.seeds):
            for (objective, model), figures in measure_all(name, prepared, seed).items():
                found[objective, name, model].append(figures)
                print(name, seed, objective, model, figures, file=sys.stderr, flush=True)
    result = summarise(found)
    result["order"] = {name: order_of(prepared) for name, prepared in sets.items()}
    result |= {"seeds": options.seeds, "cpu_seconds_to_choose": SECONDS, "cores": os.cpu_count()}
    print_table(result)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def install_peers() -> None:
    """Make the peers' environment; one that cannot be installed is missing from the table."""
    if (PEERS / ".ready").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
    for packages in _INSTALLS:
        subprocess.run([PEERS / "bin" / "pip", "install", "--quiet", *packages], stdout=sys.stderr)
    (PEERS / ".ready").touch()


def order_of(prepared: Splits) -> dict[str, Any]:
    """The resolution of the times, and the part of the test ratings that the seed chose."""
    ratings = RatingsFolder.open(prepared.path.with_name(ratings_format.KIND))
    found = json.loads((prepared.path / STATISTICS).read_text())
    tied = found["ties"]["test"] / found["rows"]["test"]
    return {"resolution": ratings.manifest.details["resolution"], "tied": round(tied, 3)}


def measure_all(name: str, prepared: Splits, seed: int) -> dict[tuple[str, str], Figures]:
    """Every model on the split of a seed, by objective and name."""
    folder = CACHE / f"quality-{name}"
    splits, data = hold_out(prepared, folder / f"seed-{seed}", seed)
    data.save(folder / f"seed-{seed}.npz")
    measured = measure_ours(splits, data, folder / f"model-{seed}", seed)
    measured["rating", "bias"] = measure_bias(splits, data)
    for objective, peers in (("ranking", RANKING), ("rating", RATING)):
        for model in peers:
            figures = measure_peer(model, folder, seed)
            if figures:
                measured[objective, model] = figures
    return measured


def measure_ours(
    splits: Splits, data: Data, model: Path, seed: int
) -> dict[tuple[str, str], Figures]:
    """The train step as shipped, in a process of its own; lists also without expected stars."""
    start = time.perf_counter()
    shutil.rmtree(model, ignore_errors=True)
    command = [sys.executable, "-m", "components.train", f"--splits={splits.path}"]
    subprocess.run([*command, f"--output={model}", f"--seed={seed}"], check=True)
    seconds = round(time.perf_counter() - start, 1)
    trained = Model.load(model)
    if trained.rating is None or trained.ranking is None:
        raise RuntimeError("alsolike trains both objectives by default")
    return {
        ("rating", OURS): {
            **data.test.rating_metrics(trained.rating.predict),
            "seconds": seconds,
        },
        ("ranking", OURS): {**rank(trained, data), "seconds": seconds},
        ("ranking", RANK_ALONE): {**rank(replace(trained, rating=None), data), "seconds": seconds},
    }


def rank(model: Model, data: Data) -> Figures:
    factors, known = model.ranking, data.test.known
    assert factors is not None
    offsets = np.searchsorted(known.users, np.arange(data.customers + 1))

    def scores(users: Array) -> Array:
        histories = (known.items[offsets[user] : offsets[user + 1]] for user in users)
        pairs = zip(users, histories, strict=True)
        vectors = np.stack([factors.customer_vector(*pair) for pair in pairs])
        return blend(factors.scores(vectors), users, factors, model.rating)

    return data.test.ranking_metrics(scores)


def measure_bias(splits: Splits, data: Data) -> Figures:
    """The evaluation's own regularised bias model."""
    shape = data.customers, data.products
    biases = shrunken_bias(splits.train, splits.validation, *shape, data.scale)
    return data.test.rating_metrics(biases.predict)


def measure_peer(model: str, folder: Path, seed: int) -> Figures | None:
    """What a peer reaches, measured once; None if it cannot run here."""
    cached = folder / f"{model}-{seed}-{_code_of_peers()}.json"
    if not cached.exists():
        arguments = [
            "-m",
            "benchmarks.quality_peers",
            model,
            f"{folder}/seed-{seed}.npz",
            str(seed),
        ]
        command = [str(PEERS / "bin" / "python"), *arguments]
        surroundings = os.environ | _ONE_THREAD
        run = subprocess.run(command, capture_output=True, text=True, env=surroundings)
        if run.returncode:
            print(f"{model} is left out, it does not run here:", run.stderr, file=sys.stderr)
            return None
        cached.write_text(run.stdout.splitlines()[-1])
    figures: Figures = json.loads(cached.read_text())
    return figures


def _code_of_peers() -> str:
    """The first digits of a digest of the code that peers run."""
    files = (quality_peers.__file__, quality_data.__file__)
    return sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:8]


def summarise(found: dict[tuple[str, str, str], list[Figures]]) -> dict[str, Any]:
    """Means over the seeds, and where alsolike does not win."""
    result: dict[str, Any] = {"rating": {}, "ranking": {}, "losses": []}
    for (objective, name, model), runs in found.items():
        metrics = _METRICS[objective]
        entry = {
            metric: round(statistics.mean(run[metric] for run in runs), 4) for metric in metrics
        }
        values = [run[metrics[0]] for run in runs]
        entry["spread"] = round(statistics.stdev(values), 4) if len(values) > 1 else 0.0
        result[objective].setdefault(name, {})[model] = entry
    for objective, metric, error, sign in _COMPARED:
        for name, models in result[objective].items():
            ours = models[OURS]
            for model, entry in models.items():
                behind = sign * (entry[metric] - ours[metric])
                if model in (OURS, RANK_ALONE) or behind <= 0:
                    continue
                result["losses"].append(
                    {
                        "metric": metric,
                        "set": name,
                        "to": model,
                        "by": round(behind, 4),
                        "beyond_error": behind > ours[error],
                    }
                )
    return result


def print_table(result: dict[str, Any]) -> None:
    for objective, metric, error, _ in _COMPARED:
        sets = result[objective]
        print(f"\n{objective}, {metric}".ljust(24), *(name.rjust(20) for name in sets))
        models = {model: None for by_model in sets.values() for model in by_model}
        for model in models:
            entries = [by_model.get(model) for by_model in sets.values()]
            cells = [f"{e[metric]:.4f} ± {e[error]:.4f}" if e else "" for e in entries]
            print(model.ljust(23), *(cell.rjust(20) for cell in cells))
    print()


if __name__ == "__main__":
    main()
