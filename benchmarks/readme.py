"""Put the latest results into the README, between its marks."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text()
    sections = {"quality": _quality(), "train": _train(), "data": _data(), "serve": _serve()}
    sections["images"] = _images()
    for name, table in sections.items():
        marked = rf"(<!-- {name} -->\n).*?(\n<!-- end -->)"
        text = re.sub(marked, rf"\g<1>{table}\g<2>", text, flags=re.S)
    readme.write_text(text)


def _quality() -> str:
    results = _read("quality")
    rating = _table(results["rating"], "mse", "Test MSE, less is better", 3)
    ranking = _table(results["ranking"], "ndcg10", "Test NDCG@10, more is better", 3)
    liked = _table(
        results["ranking"], "liked_ndcg10", "Test NDCG@10 of what was liked, more is better", 3
    )
    protocol = (
        "The latest rating of every customer is the test, the one before it the validation. "
        f"Means over {results['seeds']} seeds. Settings are chosen on validation: by the peers "
        f"within {results['cpu_seconds_to_choose']} seconds of CPU each, by alsolike in its "
        "default search, which is not timed. Models of alsolike were designed with figures of "
        "these sets in view, so expect a smaller lead on others. Liked is a rating no lower than "
        "the mean of the customer's earlier ones; by rank alone is `max_disliked=1`. Standard "
        "errors of alsolike are "
        f"up to {_largest_error(results['rating']):.3f} in MSE and "
        f"{_largest_error(results['ranking']):.3f} in NDCG@10."
    )
    return "\n\n".join([rating, ranking, liked, _orders(results["order"]), protocol])


def _largest_error(sets: dict[str, dict[str, Any]]) -> float:
    return max(float(models["alsolike"]["standard_error"]) for models in sets.values())


def _orders(sets: dict[str, dict[str, Any]]) -> str:
    """What tells the order of each set's ratings."""
    rows = {
        "times are known to the": [order["resolution"] for order in sets.values()],
        "test ratings chosen by the seed, of the same time as another": [
            f"{order['tied']:.1%}" for order in sets.values()
        ],
    }
    lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join([*_header("Order of the ratings", sets), *lines])


def _table(sets: dict[str, dict[str, Any]], figure: str, title: str, digits: int) -> str:
    models = [model for model, found in next(iter(sets.values())).items() if figure in found]
    rows = _header(title, sets)
    for model in models:
        figures = [f"{results[model][figure]:.{digits}f}" for results in sets.values()]
        shown = f"**{model}**" if model == "alsolike" else model.replace("_", " ")
        rows.append(f"| {shown} | {' | '.join(figures)} |")
    return "\n".join(rows)


def _header(title: str, sets: Iterable[str]) -> list[str]:
    names = [name.replace("_", " ") for name in sets]
    return [f"| {title} | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]


def _train() -> str:
    train = _read("train")
    return (
        f"`mf` learns {train['examples_per_s']:,} ratings a second on {train['cores']} cores, "
        f"{train['speedup_300k']:.0f} times as fast as the notebook's loop on 300,000 ratings and "
        f"{train['speedup_1200k']:.0f} times on 1.2 million, {train['versus_torch']:.2f} times as "
        f"fast as the same model in PyTorch. With 2 million customers a rating takes "
        f"{train['catalogue_slope']:.2f} times as long as with 50,000: a batch fetches and learns "
        f"the rows that it touches, and no others."
    )


def _data() -> str:
    data = _read("data")
    return (
        f"Ingest and prepare of {data['rows'] / 1e6:.0f} million reviews, S3, hashing and Parquet "
        f"included, take {data['wall_ratio']:.2f} of the time and {data['rss_ratio']:.2f} of the "
        f"memory of the notebook's pandas code ({data['rows_per_s']:,} rows a second), and lose "
        f"{data['lost_rows']} rows where it loses {data['baseline_lost_rows']:,} to stray quotes."
    )


def _serve() -> str:
    serve = _read("serve")
    rows = ["| One core, requests a second | 8 connections | 64 connections |", "|---|---|---|"]
    for shown, few, many in (
        ("nginx, a constant", None, "nginx_c64_per_s"),
        ("**alsolike**, ten recommendations computed ahead", None, "precomputed_c64_per_s"),
        ("**alsolike**, two predictions", "predict_c8_per_s", "predict_c64_per_s"),
        ("KServe's Python server, two predictions", "kserve_c8_per_s", None),
        ("the notebook's handler, two predictions", "notebook_c8_per_s", None),
    ):
        cells = [f"{serve[name]:,}" if name in serve else "" for name in (few, many)]
        rows.append(f"| {shown} | {' | '.join(cells)} |")
    told = (
        "With 100,000 customers, 40,000 products and 64 dimensions the server is ready in "
        f"{serve['start_s']:.1f} s and a worker takes {serve['rss_mb']:.0f} MB. Ten products "
        f"computed on request take {serve['live_top10_p50_vs_bare']:.2f} of the time of NumPy's "
        "product and `argpartition` alone. While one client asks the most that is allowed over 64 "
        "connections, two predictions take others at most "
        f"{serve['p99_ms_beside_largest_client']:.0f} ms in 99 of 100 cases, and a liveness probe "
        f"at most {serve['liveness_ms_beside_largest_client']:.0f} ms."
    )
    return "\n".join([*rows, "", told])


def _images() -> str:
    steps = {
        "data": "resolve, ingest, prepare, evaluate, notify; the search of `alsolike tune`",
        "train-cpu": "train",
        "train-gpu": "train, with CUDA 11 from PyPI",
        "serve": "deploy, and the server",
    }
    results = _read("images")
    rows = ["| Image | Steps | MB | Beyond its base |", "|---|---|---|---|"]
    for name, figures in results.items():
        sizes = (figures[size] / 1e6 for size in ("bytes", "bytes_beyond_base"))
        rows.append(
            f"| `{name}` | {steps[name]} | {' | '.join(f'{size:,.0f}' for size in sizes)} |"
        )
    serve = results["serve"]
    base = (serve["bytes"] - serve["bytes_beyond_base"]) / 1e6
    units = f"MB are 10^6 bytes, uncompressed, on a base of {base:,.0f} MB (`images/base/build`)."
    return "\n".join(rows) + f"\n\n{units}"


def _read(name: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return results


if __name__ == "__main__":
    main()
