"""The files of a `ratings` artifact, written a part at a time."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import ratings as ratings_format
from components.artifacts.ratings import RATINGS_SCHEMA, RatingsWriter


def part(*customers: str) -> pa.Table:
    count = len(customers)
    columns = [customers, ["p"] * count, [5.0] * count, [date(2015, 1, 1)] * count]
    return pa.Table.from_pydict(
        dict(zip(RATINGS_SCHEMA.names, columns, strict=True)), schema=RATINGS_SCHEMA
    )


def test_parts_come_back_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratings_format, "_ROWS_A_GROUP", 2)
    with RatingsWriter(tmp_path) as writer:
        for customers in (("a",), ("b", "c"), ("d",)):
            writer.add_ratings(part(*customers))
    file = pq.ParquetFile(tmp_path / ratings_format.RATINGS)
    assert file.read()["customer_id"].to_pylist() == ["a", "b", "c", "d"]
    assert file.num_row_groups == 2


def test_without_ratings_the_files_are_there_and_empty(tmp_path: Path) -> None:
    with RatingsWriter(tmp_path):
        pass
    assert len(pq.read_table(tmp_path / ratings_format.RATINGS)) == 0
    assert len(pq.read_table(tmp_path / ratings_format.REJECTS)) == 0
