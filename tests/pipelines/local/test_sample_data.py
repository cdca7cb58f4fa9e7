"""The generated ratings look like real ones, and hold something to learn."""

import gzip
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
import pytest

from pipelines.local.sample_data import COLUMNS, write_sample
from pipelines.local.source import SAMPLE_ROWS

ROWS = 100_000


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "ratings.tsv.gz"
    write_sample(path, ROWS, seed=1, review_text=False)
    return path


@pytest.fixture(scope="module")
def lines(sample: Path) -> list[list[str]]:
    text = gzip.decompress(sample.read_bytes()).decode()
    return [line.split("\t") for line in text.removesuffix("\n").split("\n")]


@pytest.fixture(scope="module")
def ratings(lines: list[list[str]]) -> pl.DataFrame:
    rows = [line for line in lines[1:] if len(line) == len(COLUMNS)]
    frame = pl.DataFrame(rows, schema=list(COLUMNS), orient="row")
    return frame.with_columns(pl.col("star_rating", "product_parent").cast(pl.Int64))


def test_the_columns_are_those_of_the_amazon_reviews(lines: list[list[str]]) -> None:
    assert tuple(lines[0]) == COLUMNS
    assert len(COLUMNS) == 15


def test_there_are_as_many_ratings_as_asked_for_and_a_few_broken_lines(
    lines: list[list[str]], ratings: pl.DataFrame
) -> None:
    assert len(ratings) == ROWS
    assert sorted(len(line) for line in lines if len(line) != len(COLUMNS)) == [2, 2, 17]


def test_the_same_seed_gives_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    write_sample(tmp_path / "again", ROWS, seed=1, review_text=False)
    write_sample(tmp_path / "other", ROWS, seed=2, review_text=False)
    assert (tmp_path / "again").read_bytes() == sample.read_bytes()
    assert (tmp_path / "other").read_bytes() != sample.read_bytes()


def test_stars_are_shaped_like_a_j(ratings: pl.DataFrame) -> None:
    counts = ratings["star_rating"].value_counts().sort("star_rating")["count"].to_list()
    assert len(counts) == 5
    assert counts[4] > counts[3] > counts[0] > counts[1]


def test_a_few_customers_and_products_have_most_ratings(ratings: pl.DataFrame) -> None:
    for column, share in (("customer_id", 0.5), ("product_id", 0.35)):
        counts = ratings[column].value_counts(sort=True)["count"]
        assert counts[: len(counts) // 5].sum() > share * ROWS


def test_files_have_the_oddities_of_real_ones(ratings: pl.DataFrame) -> None:
    pairs = ratings.select(pl.struct("customer_id", "product_id").n_unique()).item()
    assert 0 < ROWS - pairs < 0.05 * ROWS
    assert ratings["review_headline"].str.count_matches('"').sum() > 0
    assert not ratings["review_date"].is_sorted()
    assert ratings["product_category"].n_unique() > 4


def test_newest_first_is_in_order(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample", 1000, seed=1, order="newest_first", review_text=False)
    text = gzip.decompress((tmp_path / "sample").read_bytes()).decode()
    days = [line.split("\t")[-1] for line in text.split("\n")[1:1001]]
    assert days == sorted(days, reverse=True)


def test_what_a_customer_takes_up_next_often_stands_beside_the_last(
    ratings: pl.DataFrame,
) -> None:
    ordered = ratings.sort("customer_id", "review_date")
    steps = ordered.select(pl.col("product_parent").diff().over("customer_id")).to_series()
    products = ratings["product_id"].n_unique()
    assert steps.is_between(1, 3).mean() > 10 * 3 / products  # type: ignore[operator]


def test_customers_agree_about_products_and_differ_by_taste(ratings: pl.DataFrame) -> None:
    deviations = ratings.select(
        (pl.col("star_rating") - pl.col("star_rating").mean().over("product_id")).alias("rest"),
        "star_rating",
    )
    explained = 1 - deviations["rest"].var() / deviations["star_rating"].var()  # type: ignore[operator]
    assert 0.15 < explained < 0.6


def test_an_interrupt_leaves_nothing_that_a_later_run_would_read(tmp_path: Path) -> None:
    with making_a_sample(tmp_path) as process:
        while size_of_all(tmp_path) < 1_000_000:
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        assert process.wait() != 0
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_make_the_sample_at_once_neither_sees_a_part(tmp_path: Path) -> None:
    target = tmp_path / f"sample-{SAMPLE_ROWS}.tsv.gz"
    sizes = []
    with making_a_sample(tmp_path) as first, making_a_sample(tmp_path) as second:
        while first.poll() is None or second.poll() is None:
            if target.exists():
                sizes.append(target.stat().st_size)
            time.sleep(0.001)
    assert (first.returncode, second.returncode) == (0, 0)
    assert {*sizes, target.stat().st_size} == {target.stat().st_size}
    assert list(tmp_path.iterdir()) == [target]


@contextmanager
def making_a_sample(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    code = "import pathlib, sys, pipelines.local.source as s; s.sample(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def size_of_all(folder: Path) -> int:
    """Bytes of all files below, of which some may go while we look."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total
