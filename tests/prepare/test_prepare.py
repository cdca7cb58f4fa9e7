"""The step from a `ratings` artifact to `splits`: numbered, split, described, and guarded."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from components.artifacts import ratings as ratings_format
from components.artifacts.folder import write_artifact
from components.artifacts.ratings import PRODUCTS_SCHEMA, RATINGS_SCHEMA, RatingsWriter
from components.artifacts.splits import STATISTICS, Ratings, Splits
from components.errors import UserError
from components.prepare.numbering import read_numbered
from components.prepare.prepare import prepare
from components.prepare.settings import PrepareSettings

Row = tuple[str, str, float, datetime]

START = datetime(2015, 1, 1, tzinfo=UTC)


def make_rows(customers: int = 30, products: int = 12, seed: int = 0) -> list[Row]:
    chance = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        for product in chance.choice(products, chance.integers(1, products), replace=False):
            time = START + timedelta(hours=int(chance.integers(0, 7200)))
            rows.append((f"c{customer:02}é", f"p{product:02}", float(chance.integers(1, 6)), time))
    return rows


def write_ratings(path: Path, rows: list[Row]) -> Path:
    with write_artifact(path, ratings_format.KIND, ratings_format.SCHEMA_VERSION) as artifact:
        with RatingsWriter(artifact.path) as writer:
            columns: list[Any] = [list(column) for column in zip(*rows, strict=True)]
            named = dict(zip(RATINGS_SCHEMA.names, columns, strict=True))
            writer.add_ratings(pa.Table.from_pydict(named, schema=RATINGS_SCHEMA))
            products = sorted({row[1] for row in rows})
            columns = [products, [f"The {one}" for one in products], ["Lights"] * len(products)]
            writer.write_products(pa.table(columns, schema=PRODUCTS_SCHEMA))
        artifact.details |= {"scale": [1.0, 5.0], "rows": len(rows), "rejects": {}, "sources": []}
        artifact.details |= {"source": "s3://shop/reviews.tsv.gz", "source_version": "1f" * 8}
    return path


def run(folder: Path, rows: list[Row], **changes: Any) -> Splits:
    ratings = write_ratings(folder / "ratings", rows)
    settings = PrepareSettings(**{"min_product_ratings": 5, **changes})
    prepare(settings, ratings, folder / "splits")
    return Splits.open(folder / "splits")


def test_every_rating_kept_comes_back_under_its_ids(tmp_path: Path) -> None:
    rows = make_rows()
    splits = run(tmp_path, rows, min_customer_ratings=1, min_product_ratings=1)
    customers = splits.customers["customer_id"].to_pylist()
    products = splits.products["product_id"].to_pylist()
    everything = splits.train.merged_with(splits.validation).merged_with(splits.test)
    found = [
        (
            customers[user],
            products[item],
            float(stars),
            datetime.fromtimestamp(instant / 10**6, UTC),
        )
        for user, item, stars, instant in zip(
            everything.users, everything.items, everything.stars, everything.instants, strict=True
        )
    ]
    assert sorted(found) == sorted(rows)


def test_indices_are_in_order_of_the_ids_and_counted(tmp_path: Path) -> None:
    splits = run(tmp_path, make_rows())
    customers = splits.customers["customer_id"].to_pylist()
    assert customers == sorted(customers)
    everything = splits.train.merged_with(splits.validation).merged_with(splits.test)
    counted = splits.customers["ratings"].to_pylist()
    assert counted == np.bincount(everything.users).tolist()
    assert splits.products["ratings"].to_pylist() == np.bincount(everything.items).tolist()
    assert min(counted) >= 5
    titles = splits.products["product_title"].to_pylist()
    assert titles == [f"The {one}" for one in splits.products["product_id"].to_pylist()]


def test_a_folder_may_have_a_name_that_looks_like_a_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "run [1] of *"
    folder.mkdir()
    assert len(run(folder, make_rows(), min_customer_ratings=1, min_product_ratings=1).train)


def test_splits_do_not_overlap(tmp_path: Path) -> None:
    splits = run(tmp_path, make_rows())
    parts = (splits.train, splits.validation, splits.test)
    pairs = Counter(pair for part in parts for pair in zip(part.users, part.items, strict=True))
    assert set(pairs.values()) == {1}
    assert len(splits.test) == len(splits.validation) == len(splits.customers)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_rows_are_in_the_common_order(part: str, tmp_path: Path) -> None:
    rows: Ratings = getattr(run(tmp_path, make_rows()), part)
    order = np.lexsort((rows.items, rows.instants, rows.users))
    assert (order == np.arange(len(rows))).all()


def test_the_order_of_the_ratings_does_not_matter(tmp_path: Path) -> None:
    rows = make_rows()
    first = run(tmp_path / "first", rows, split="random")
    second = run(tmp_path / "second", rows[::-1], split="random")
    assert first.manifest.files == second.manifest.files


def test_statistics_describe_before_and_after(tmp_path: Path) -> None:
    rows = [
        *make_rows(),
        ("c00é", "p00", 1.0, datetime(2014, 1, 1, 23, tzinfo=UTC)),
        ("lone", "p00", 5.0, datetime(2016, 1, 1, tzinfo=UTC)),
    ]
    splits = run(tmp_path, rows)
    statistics = json.loads((splits.path / STATISTICS).read_text())
    before, after = statistics["before"], statistics["after"]
    counts = sorted(Counter(row[0] for row in rows).values())
    assert before["rows"] == len(rows)
    assert before["customers"]["count"] == 31
    assert before["customers"]["ratings_by_quantile"]["1"] == counts[-1]
    assert before["customers"]["ratings_by_quantile"]["0.5"] == np.median(counts)
    assert len(before["products"]["ratings_by_quantile"]) == 17
    assert (before["first_day"], before["last_day"]) == ("2014-01-01", "2016-01-01")
    assert before["stars"] == {
        f"{stars:g}": count for stars, count in sorted(Counter(row[2] for row in rows).items())
    }
    assert after["density"] == after["rows"] / len(splits.customers) / len(splits.products)
    assert statistics["rows"] == splits.manifest.details["rows"]
    assert sum(one["rows"] for one in statistics["removed"]) == before["rows"] - after["rows"]
    assert statistics["removed"][0]["rule"] == "deduplicate"


def test_statistics_tell_whom_a_temporal_split_tests_without_a_history(tmp_path: Path) -> None:
    hours = {"a": (1, 2, 3, 28), "b": (27, 28), "c": (4, 27), "d": (28,), "e": (5, 6, 7)}
    rows = [
        (customer, f"p{place}", 5.0, START + timedelta(hours=hour))
        for customer, its in hours.items()
        for place, hour in enumerate(its)
    ]
    few = {"min_customer_ratings": 1, "min_product_ratings": 1}
    splits = run(tmp_path, rows, split="temporal", test_fraction=0.25, **few)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [6, 3, 3]
    assert splits.train.instants.max() < splits.validation.instants.min()
    assert splits.validation.instants.max() < splits.test.instants.min()
    statistics = json.loads((splits.path / STATISTICS).read_text())
    assert statistics["new_customers"] == {"validation": 1, "test": 1}


def test_statistics_count_what_the_seed_chose_among_equal_times(tmp_path: Path) -> None:
    """To test, one of two; to validate and to test, two of three; and no choice at all."""
    hours = {"a": (1, 2, 3, 3), "b": (1, 2, 2, 2), "c": (1, 1, 2, 3)}
    rows = [
        (customer, f"p{place}", 5.0, START + timedelta(hours=hour))
        for customer, its in hours.items()
        for place, hour in enumerate(its)
    ]
    splits = run(tmp_path, rows, min_customer_ratings=1, min_product_ratings=1)
    statistics = json.loads((splits.path / STATISTICS).read_text())
    assert statistics["ties"] == {"validation": 2, "test": 2}


def test_all_ratings_at_one_time_are_told_in_a_line(tmp_path: Path) -> None:
    rows = [(*row[:3], START) for row in make_rows()]
    with pytest.raises(UserError, match="set split=last, which keeps") as raised:
        run(tmp_path, rows, split="temporal")
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["ratings"]


def test_the_lineage_names_the_ratings(tmp_path: Path) -> None:
    splits = run(tmp_path, make_rows())
    ratings = ratings_format.RatingsFolder.open(tmp_path / "ratings")
    assert splits.manifest.made_from == {"ratings": ratings.manifest.digest}
    assert splits.scale == (1.0, 5.0)


def test_ids_of_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = make_rows()
    expected = run(tmp_path / "expected", rows).manifest.files
    monkeypatch.setattr(pl.Series, "hash", lambda ids: pl.zeros(len(ids), pl.UInt64, eager=True))
    assert run(tmp_path / "found", rows).manifest.files == expected


def test_numbers_have_no_gaps(tmp_path: Path) -> None:
    numbered = read_numbered(write_ratings(tmp_path / "ratings", make_rows()))
    assert sorted(numbered.ratings["user"].unique()) == list(range(30))
    assert numbered.customers.n_unique() == 30


@pytest.mark.parametrize("changes", [{"min_customer_ratings": 99}, {"min_product_ratings": 99}])
def test_everything_filtered_away_is_told_and_nothing_left(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"too few of the \d+ ratings are left"):
        run(tmp_path, make_rows(), **changes)
    assert [path.name for path in tmp_path.iterdir()] == ["ratings"]


def test_nothing_to_hold_out_is_told(tmp_path: Path) -> None:
    rows = [(f"c{number}", "p", 5.0, START) for number in range(9)]
    with pytest.raises(UserError, match="whatever the settings: ingest more ratings"):
        run(tmp_path, rows, min_customer_ratings=1)


def test_an_edited_artifact_is_refused(tmp_path: Path) -> None:
    ratings = write_ratings(tmp_path / "ratings", make_rows())
    with (ratings / ratings_format.RATINGS).open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match="it was cut or edited"):
        prepare(PrepareSettings(), ratings, tmp_path / "splits")
