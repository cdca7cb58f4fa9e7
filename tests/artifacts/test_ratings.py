"""The files of a `ratings` artifact, written a part at a time."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import ratings as ratings_format
from components.artifacts.folder import write_artifact
from components.artifacts.ratings import RATINGS_SCHEMA, RatingsFolder, RatingsWriter
from components.errors import UserError


def part(*customers: str) -> pa.Table:
    count = len(customers)
    columns = [
        customers,
        ["p"] * count,
        [5.0] * count,
        [datetime(2015, 1, 1, 12, 30, tzinfo=UTC)] * count,
    ]
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


def test_ratings_of_the_format_before_are_refused_in_one_line(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "ratings", ratings_format.KIND, 1):
        pass
    with pytest.raises(
        UserError, match=r"version 1 of the ratings format, .* version 2: "
    ) as raised:
        RatingsFolder.open(tmp_path / "ratings")
    assert "\n" not in str(raised.value)
