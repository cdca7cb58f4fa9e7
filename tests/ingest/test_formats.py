"""Each named format reads what its data set's files look like."""

import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.errors import UserError
from components.ingest.checks import Limits, check
from components.ingest.formats import FORMATS, format_of
from components.ingest.parsing import parquet_cells
from tests.ingest.sources import amazon_line, cells_of, read, settings

DAY = date(2018, 1, 1)
SECONDS = 1514764800

FILES = {
    "amazon": "\n".join(
        [
            "marketplace\tcustomer_id\treview_id\tproduct_id\tproduct_parent\tproduct_title\t"
            "product_category\tstar_rating\thelpful_votes\ttotal_votes\tvine\tverified_purchase\t"
            "review_headline\treview_body\treview_date",
            amazon_line("A1", "B1", "4", "2018-01-01"),
        ]
    ),
    "amazon_2018": '{"overall": 4.0, "verified": true, "reviewTime": "01 1, 2018", "reviewerID": '
    '"A1", "asin": "B1", "style": {"Color:": " Black"}, "reviewerName": "D", "reviewText": "ok", '
    '"summary": "Four Stars", "unixReviewTime": 1514764800}',
    "amazon_2018_csv": "B1,A1,4.0,1514764800",
    "amazon_2023": '{"rating": 4.0, "title": "ok", "text": "fine", "images": [], "asin": "B0", '
    '"parent_asin": "B1", "user_id": "A1", "timestamp": 1514764800123, "helpful_vote": 0, '
    '"verified_purchase": true}',
    "amazon_2023_csv": "user_id,parent_asin,rating,timestamp\nA1,B1,4.0,1514764800123",
    "movielens": "userId,movieId,rating,timestamp\nA1,B1,4.0,1514764800",
    "movielens_1m": "A1::B1::4::1514764800",
    "movielens_100k": "A1\tB1\t4\t1514764800",
    "csv": 'customer_id,product_id,star_rating,review_date\n"A1","B1",4,2018-01-01',
    "jsonl": '{"customer_id": "A1", "product_id": "B1", "star_rating": 4, '
    '"review_date": "2018-01-01"}',
}


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", FILES)
def test_a_format_reads_its_files(name: str) -> None:
    found = read(FILES[name].encode(), format=name)
    assert found.ratings == [("A1", "B1", 4.0, DAY)]
    assert not found.rejects


def test_every_format_has_such_a_file() -> None:
    assert {*FILES, "parquet"} == {*FORMATS}


@pytest.mark.parametrize(
    "day",
    [
        DAY,
        datetime(2018, 1, 1, 23, 59, tzinfo=UTC),
        *(SECONDS, SECONDS * 1000.0, 20180101),
        *("2018-01-01", "20180101", str(SECONDS), f"{SECONDS}000"),
    ],
)
def test_dates_are_read_whatever_their_type(day: object) -> None:
    content = parquet(customer_id=[1], product_id=["B1"], star_rating=[4], review_date=[day])
    assert read(content, format="parquet").ratings == [("1", "B1", 4.0, DAY)]


@given(
    st.dates(date(1980, 1, 1), date(2100, 12, 31)),
    st.integers(0, 86_400 * 10**9 - 1),
    st.sampled_from([10**9, 10**6, 10**3, 1]),
    st.sampled_from([int, str]),
)
def test_a_time_is_read_whatever_its_unit(
    day: date, nanoseconds: int, unit: int, kind: Callable[[int], object]
) -> None:
    time = ((day - date(1970, 1, 1)).days * 86_400 * 10**9 + nanoseconds) // unit
    assume(time < 2**63)
    assert dates([kind(time)]) == [day]


@given(st.integers(-(2**63), 2**63 - 1) | st.floats() | st.integers() | st.text() | st.datetimes())
def test_whatever_stands_for_a_date_is_a_day_that_may_be_meant_or_rejected(value: object) -> None:
    kinds = (
        [value, str(value)] if not isinstance(value, int) or abs(value) < 2**63 else [str(value)]
    )
    for one in kinds:
        (day,) = dates([one])
        assert day is None or 1900 <= day.year <= 2100


@pytest.mark.parametrize("value", [None, True, b"soon"])
def test_a_column_of_no_dates_costs_its_rows(value: object) -> None:
    assert dates([value, value]) == [None, None]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6])
def test_the_last_day_of_all_stands_for_no_date(unit: int) -> None:
    """Databases write 9999-12-31 for never."""
    never = (date(9999, 12, 31) - date(1970, 1, 1)).days * 86_400 * unit
    assert dates([never]) == dates(["9999-12-31"]) == [None]


def dates(values: Sequence[object]) -> list[date | None]:
    """The dates of rows as they are read, None for a rejected one."""
    cells = parquet_cells(
        pl.DataFrame({"id": ["1"] * len(values), "stars": 1, "date": values}),
        {"customer": "id", "product": "id", "rating": "stars", "date": "date"},
    )
    checked = check(cells, Limits(None, None, None, None))
    found: list[date | None] = checked.ratings["date"].to_list()
    for row, reason in checked.rejects.select("row", "reason").rows():
        assert reason == "bad date"
        found.insert(row, None)
    return found


def test_parquet_rejects_are_told_by_row() -> None:
    content = parquet(
        customer_id=["1", None, "3"],
        product_id=["B1", "B1", ""],
        star_rating=[4.0, 5.0, 5.0],
        review_date=[DAY, DAY, DAY],
    )
    assert read(content, format="parquet").rejects == [(2, "empty id"), (3, "empty id")]


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1))
def test_ids_in_parquet_are_the_same_as_integers_and_as_floats(ids: list[int]) -> None:
    """Of one data set, pandas writes floats in the file that lacks an id and integers in others."""
    others = {"product_id": "B1", "star_rating": 4, "review_date": DAY}
    whole, floats = (
        read(parquet(customer_id=pl.Series(values), **others), format="parquet")
        for values in (ids, [*map(float, ids), float("nan")])
    )
    assert floats.ratings == whole.ratings
    assert floats.rejects == [(len(ids) + 1, "empty id")]


def test_what_is_no_parquet_is_told() -> None:
    with pytest.raises(UserError, match="is no whole Parquet file"):
        read(b"customer_id", format="parquet")


def test_columns_can_be_named_one_by_one() -> None:
    content = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949"
    found = read(
        content,
        customer_column="user_id:token",
        product_column="item_id:token",
        rating_column="rating:float",
        date_column="timestamp:float",
    )
    assert found.ratings == [("196", "242", 3.0, date(1997, 12, 4))]


def test_titles_and_categories_are_read_where_there_are_some() -> None:
    layout = format_of(settings(format="jsonl", title_column="name"))
    lines = [
        {"customer_id": "1", "product_id": "B1", "star_rating": 5, "review_date": "2018-01-01"}
    ]
    lines.append({**lines[0], "name": "A Lamp", "product_category": "Lights"})
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    (cells,) = cells_of(content, layout)
    assert cells["title"].to_list() == [None, "A Lamp"]
    assert cells["category"].to_list() == [None, "Lights"]


def test_a_missing_column_is_told_with_those_there_are() -> None:
    with pytest.raises(
        UserError, match=r"no column 'customer_id' .* 'user', 'item': set customer_"
    ):
        read(b"user,item\n1,2\n")


def test_a_missing_date_is_told_to_be_needed() -> None:
    with pytest.raises(
        UserError,
        match=r"no column 'review_date' for the date among 'customer_id', 'product_id', "
        r"'star_rating': every rating needs a date, so set date_column",
    ):
        read(b"customer_id,product_id,star_rating\n1,2,3\n")


@pytest.mark.parametrize("separator", [";", "|"])
def test_another_separator_is_told(separator: str) -> None:
    header = separator.join(["customer_id", "product_id", "star_rating", "review_date"])
    with pytest.raises(UserError, match=f"by commas .* tabs .* seem to be by '[{separator}]'"):
        read(f"{header}\n".encode(), format="csv")


def test_a_missing_title_is_told_only_when_it_was_asked_for() -> None:
    content = b"customer_id,product_id,star_rating,review_date\n1,2,3,2018-01-01\n"
    assert read(content).ratings
    with pytest.raises(UserError, match="no column 'name' for the title"):
        read(content, title_column="name")


def test_a_binary_file_is_told() -> None:
    with pytest.raises(UserError, match="no text"):
        read(b"\xff\xfe\x00\x80binary")


@pytest.mark.parametrize(("stars", "kept"), [("0.5", True), ("0", False), ("5.5", False)])
def test_the_scale_decides_what_is_a_rating(stars: str, kept: bool) -> None:
    content = f"userId,movieId,rating,timestamp\n1,2,{stars},1514764800\n".encode()
    assert bool(read(content, format="movielens").ratings) is kept


def test_a_cell_too_long_to_unquote_costs_its_line() -> None:
    content = f'customer_id,product_id,star_rating,review_date\n"{"x" * 200_000}",2,3,2018-01-01\n'
    assert read(content.encode(), format="csv").rejects == [(2, "wrong number of columns")]


def test_half_a_character_in_json_costs_an_id_and_not_a_title() -> None:
    line = '{"customer_id": "%s", "product_id": "2", "star_rating": 3, "review_date": "2018-01-01"'
    content = line % "1" + ', "product_title": "\\ud83d"}\n' + line % "\\ud83d" + "}\n"
    found = read(content.encode(), format="jsonl")
    assert [rating[0] for rating in found.ratings] == ["1"]
    assert found.rejects == [(2, "id is not UTF-8")]


def test_the_scale_can_be_set() -> None:
    content = b"userId,movieId,rating,timestamp\n1,2,87,1514764800\n1,2,101,1514764800\n"
    found = read(content, format="movielens", min_rating=0, max_rating=100)
    assert [rating[2] for rating in found.ratings] == [87.0]
    assert found.rejects == [(3, "rating is outside 0 to 100")]


def test_ratings_outside_the_window_are_counted_and_not_rejected() -> None:
    days = ["2013-12-31", "2014-01-01", "2015-08-31", "2015-09-01"]
    lines = "".join(f"1\t{number}\t5\t{day}\n" for number, day in enumerate(days))
    layout = FORMATS["movielens_100k"]
    (cells,) = cells_of(lines.encode(), layout)
    limits = Limits(1, 5, date(2014, 1, 1), date(2015, 8, 31))
    checked = check(cells, limits)
    assert checked.ratings["product"].to_list() == ["1", "2"]
    assert (checked.outside, len(checked.rejects)) == (2, 0)
