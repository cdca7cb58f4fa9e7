"""How fast ingest and prepare are, beside what the notebook does with pandas, and in what memory.

`make bench-data`; the last line of stdout is one JSON object, kept in results/data.json. Each
round runs whole processes in turn: (a) the notebook's way with pandas from a local file, (b) ours
from a local S3 server, whose own work shares the cores, and (c) decompression alone. Ratios are
medians of ours over the baseline; `decompress_ratio` is ours over decompression alone. Lost rows
are ratings in the file that are in neither the ratings nor the rejects.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3

from components.artifacts.ratings import RatingsFolder
from pipelines.local.object_store import ObjectStore, serve_object_store
from pipelines.local.sample_data import write_sample

CACHE = Path(__file__).parent / ".cache"
RESULTS = Path(__file__).parent / "results" / "data.json"
ROWS_A_CUSTOMER = 4_000_000 / 1_900_000
ROWS_A_PRODUCT = 25
BUCKET = "benchmark"

DECOMPRESS = """
import sys
from isal import igzip
with igzip.open(sys.argv[1]) as file:
    while file.read(1 << 20):
        pass
"""


@dataclass(frozen=True)
class Run:
    """What whole processes took: seconds by the clock and of the CPU, the largest peak in MB."""

    seconds: float
    cpu: float
    peak: float

    def __add__(self, other: "Run") -> "Run":
        return Run(self.seconds + other.seconds, self.cpu + other.cpu, max(self.peak, other.peak))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    large, small = sample(options.rows), sample(options.rows // 4)
    with serve_object_store() as store, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (large, small):
            upload(store, file)
        rounds = []
        for number in range(options.rounds):
            rounds.append(run_round(store, large, small, folder))
            print(f"round {number + 1}: {rounds[-1]}", flush=True)
        details = RatingsFolder.open(folder / "ratings").manifest.details
        baseline_read = int((folder / "baseline.out").read_text())
    result = summarize(rounds, options.rows) | {
        "lost_rows": options.rows - details["rows"],
        "rejected_rows": sum(details["rejects"].values()),
        "baseline_lost_rows": options.rows - baseline_read,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def sample(rows: int) -> Path:
    """A file of a whole category: newest first, with review texts; made once."""
    file = CACHE / f"ratings-{rows}.tsv.gz"
    if not file.exists():
        CACHE.mkdir(exist_ok=True)
        partial = file.with_suffix(".partial")
        counts = {"customers": int(rows / ROWS_A_CUSTOMER), "products": rows // ROWS_A_PRODUCT}
        # In a process of its own: a child's peak counts from that of the process that forks it.
        maker = multiprocessing.get_context("spawn").Process(
            target=write_sample,
            args=(partial, rows, 0),
            kwargs={**counts, "order": "newest_first"},
        )
        maker.start()
        maker.join()
        partial.rename(file)
    return file


def upload(store: ObjectStore, file: Path) -> None:
    client = boto3.Session().client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name="us-east-1",
    )
    if not client.list_buckets()["Buckets"]:
        client.create_bucket(Bucket=BUCKET)
    client.upload_file(str(file), BUCKET, file.name)


def run_round(store: ObjectStore, large: Path, small: Path, folder: Path) -> dict[str, Run]:
    """One run of each, by name."""
    python = [sys.executable, "-m"]
    (folder / "notebook").mkdir(exist_ok=True)

    def ingest(file: Path, output: Path) -> Run:
        source = f"s3://{BUCKET}/{file.name}"
        command = [*python, "components.ingest", "--source", source, "--output", str(output)]
        return run(command, folder / "ingest.out", store.environment)

    ratings, splits = str(folder / "ratings"), str(folder / "splits")
    notebook = [*python, "benchmarks.notebook_data", str(large), str(folder / "notebook")]
    prepare = [*python, "components.prepare", "--ratings", ratings, "--output", splits]
    return {
        "baseline": run(notebook, folder / "baseline.out"),
        "ingest": ingest(large, folder / "ratings"),
        "prepare": run(prepare, folder / "prepare.out"),
        "decompress": run(
            [sys.executable, "-c", DECOMPRESS, str(large)], folder / "decompress.out"
        ),
        "small ingest": ingest(small, folder / "small"),
    }


def run(command: list[str], output: Path, environment: Mapping[str, str] | None = None) -> Run:
    """Run a process to its end; what it prints goes to a file."""
    start = os.times().elapsed
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    cpu = usage.ru_utime + usage.ru_stime
    return Run(os.times().elapsed - start, cpu, usage.ru_maxrss / 1024)


def summarize(rounds: list[dict[str, Run]], rows: int) -> dict[str, float]:
    """Medians over the rounds of what each round tells."""
    ours = [one["ingest"] + one["prepare"] for one in rounds]

    def median(*values: float) -> float:
        return round(statistics.median(values), 3)

    def ratio(name: str, field: str) -> float:
        pairs = zip(ours, rounds, strict=True)
        return median(*(getattr(own, field) / getattr(one[name], field) for own, one in pairs))

    seconds = {
        f"{name.replace(' ', '_')}_seconds": median(*(one[name].seconds for one in rounds))
        for name in rounds[0]
    }
    return {
        "rows": rows,
        "rounds": len(rounds),
        "cores": os.cpu_count() or 1,
        "wall_ratio": ratio("baseline", "seconds"),
        "cpu_ratio": ratio("baseline", "cpu"),
        "rss_ratio": ratio("baseline", "peak"),
        "rows_per_s": round(median(*(rows / own.seconds for own in ours))),
        "decompress_ratio": ratio("decompress", "seconds"),
        "rss_4m_over_1m": median(
            *(one["ingest"].peak / one["small ingest"].peak for one in rounds)
        ),
        "peak_mb": median(*(own.peak for own in ours)),
        "baseline_peak_mb": median(*(one["baseline"].peak for one in rounds)),
        **seconds,
    }


if __name__ == "__main__":
    main()
