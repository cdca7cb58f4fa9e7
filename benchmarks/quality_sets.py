"""The ratings of the quality benchmark, through the project's own ingest and prepare.

The last rating of each customer is held out to test with, the one before to validate with. The
order is that of the source's own times; a seed draws the order of the ratings that a customer gave
at the same time. So the splits of several seeds differ in these alone, and are the same for every
model.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.quality_data import Data, Part
from components.artifacts import splits as splits_format
from components.artifacts.folder import write_artifact
from components.artifacts.instants import INSTANT
from components.artifacts.splits import Ratings, Splits, liked
from components.ingest.ingest import ingest
from components.ingest.settings import IngestSettings
from components.prepare.prepare import prepare
from components.prepare.settings import PrepareSettings
from pipelines.local.object_store import serve_object_store
from pipelines.local.sample_data import write_sample

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CACHE = Path(__file__).parent / ".cache"
_GENERATED_ROWS = 100_000
_WHEEL = "recbole-1.2.1-py3-none-any.whl"
_MOVIELENS = "recbole/dataset_example/ml-100k/ml-100k.inter"
_LEAST_RATINGS = 5
_BUCKET = "quality"
_SUFFIXES = {"movielens_100k": ".data", "amazon": ".tsv.gz"}

Source = Callable[[Path], str]
"""Writes ratings to a file and tells their format."""


def movielens(path: Path) -> str:
    """MovieLens-100K, which a wheel on PyPI carries; the header goes, as in its own u.data."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "recbole==1.2.1"]
    subprocess.run([*command, f"--dest={CACHE}"], check=True, stdout=sys.stderr)
    with zipfile.ZipFile(CACHE / _WHEEL) as wheel:
        _, _, rows = wheel.read(_MOVIELENS).partition(b"\n")
    path.write_bytes(rows)
    return "movielens_100k"


def generated(path: Path) -> str:
    """Ratings with a taste planted in them."""
    write_sample(path, _GENERATED_ROWS, seed=0, review_text=False)
    return "amazon"


def from_file(source: Path) -> Source:
    """Ratings in the 15 columns of the Amazon reviews."""

    def copy(path: Path) -> str:
        path.write_bytes(source.read_bytes())
        return "amazon"

    return copy


def open_sets(sources: Mapping[str, Source]) -> dict[str, Splits]:
    """Ingest and prepare sets by name, but for those that were before."""
    missing = [name for name in sources if not (_folder(name) / "splits").exists()]
    if missing:
        with serve_object_store() as store:
            os.environ.update(store.environment)
            client = boto3.client("s3")
            client.create_bucket(Bucket=_BUCKET)
            for name in missing:
                _make(_folder(name), client, sources[name])
    return {name: Splits.open(_folder(name) / "splits") for name in sources}


def _folder(name: str) -> Path:
    return CACHE / f"quality-{name}"


def _make(folder: Path, client: "S3Client", write: Source) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile() as file:
        layout = write(Path(file.name))
        key = f"{folder.name}{_SUFFIXES[layout]}"
        client.upload_file(file.name, _BUCKET, key)
    source = {"source": f"s3://{_BUCKET}/{key}", "format": layout}
    ingest(IngestSettings.model_validate(source), folder / "ratings")
    settings = PrepareSettings(
        min_customer_ratings=_LEAST_RATINGS, min_product_ratings=_LEAST_RATINGS
    )
    prepare(settings, folder / "ratings", folder / "splits")


def hold_out(prepared: Splits, folder: Path, seed: int) -> tuple[Splits, Data]:
    """The split of a seed, as an artifact for this project and as arrays for its peers."""
    everything = prepared.train.merged_with(prepared.validation).merged_with(prepared.test)
    chance = np.random.default_rng(seed).random(len(everything))
    order = np.lexsort((chance, everything.instants, everything.users))
    users = everything.users[order]
    left = np.searchsorted(users, users, side="right") - np.arange(len(users))
    counts = np.bincount(users)[users]
    held_out = np.where(counts >= 3, left, 3)
    masks = {"train": held_out > 2, "validation": held_out == 2, "test": held_out == 1}
    rows = {name: order[mask] for name, mask in masks.items()}
    earlier = {"train": rows["train"], "validation": rows["train"]}
    earlier["test"] = np.concatenate([rows["train"], rows["validation"]])
    parts = {name: _part(everything, chosen, earlier[name]) for name, chosen in rows.items()}
    data = Data(parts, len(prepared.customers), len(prepared.products), prepared.scale)
    if not folder.exists():
        _write_splits(folder, prepared, everything, rows)
    return Splits.open(folder), data


def _write_splits(
    folder: Path, prepared: Splits, everything: Ratings, rows: dict[str, npt.NDArray[np.int64]]
) -> None:
    with write_artifact(folder, splits_format.KIND, splits_format.SCHEMA_VERSION) as writer:
        for name in (splits_format.CUSTOMERS, splits_format.PRODUCTS, splits_format.STATISTICS):
            (writer.path / name).write_bytes((prepared.path / name).read_bytes())
        for name, chosen in rows.items():
            part = everything.where(np.isin(np.arange(len(everything)), chosen))
            columns = [part.users, part.items, part.stars, pa.array(part.instants).cast(INSTANT)]
            table = pa.table(columns, schema=splits_format.RATINGS_SCHEMA)
            pq.write_table(table, writer.path / f"{name}.parquet")
        writer.details |= {
            "rows": {name: len(chosen) for name, chosen in rows.items()},
            "scale": list(prepared.scale),
            **{name: prepared.manifest.details[name] for name in ("source", "source_version")},
        }


def _part(everything: Ratings, rows: npt.NDArray[np.int64], earlier: npt.NDArray[np.int64]) -> Part:
    """Some of the ratings as arrays.

    Args:
        everything: all ratings.
        rows: those of the part.
        earlier: those that say what the customers are used to give.
    """
    part, history = (
        Ratings(*(column[chosen] for column in everything.columns)) for chosen in (rows, earlier)
    )
    return Part(part.users, part.items, part.stars, part.days, liked(part, history))
