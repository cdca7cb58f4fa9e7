"""Each named format reads what its data set's files look like."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Literal

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.errors import UserError
from components.ingest.checks import Limits, check
from components.ingest.formats import FORMATS, format_of
from components.ingest.parsing import parquet_cells
from components.ingest.times import exact_resolution, to_instants
from tests.ingest.sources import amazon_line, cells_of, parquet, read, settings

DAY = datetime(2018, 1, 1, tzinfo=UTC)
SECONDS = 1514764800
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

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
    "amazon_2018_csv": "B1,A1,4.0,1514851199",
    "amazon_2023": '{"rating": 4.0, "title": "ok", "text": "fine", "images": [], "asin": "B0", '
    '"parent_asin": "B1", "user_id": "A1", "timestamp": 1514851199123, "helpful_vote": 0, '
    '"verified_purchase": true}',
    "amazon_2023_csv": "user_id,parent_asin,rating,timestamp\nA1,B1,4.0,1514851199123",
    "movielens": "userId,movieId,rating,timestamp\nA1,B1,4.0,1514851199",
    "movielens_1m": "A1::B1::4::1514851199",
    "movietweetings": "A1::B1::4::1514851199",
    "movielens_100k": "A1\tB1\t4\t1514851199",
    "recbole": "user_id:token\titem_id:token\trating:float\ttimestamp:float\nA1\tB1\t4\t1514851199",
    "csv": 'customer_id,product_id,star_rating,review_date\n"A1","B1",4,2018-01-01',
    "jsonl": '{"customer_id": "A1", "product_id": "B1", "star_rating": 4, '
    '"review_date": "2018-01-01"}',
}

LAST_SECOND = timedelta(hours=23, minutes=59, seconds=59)
TIMES = {
    "amazon_2018_csv": LAST_SECOND,
    "amazon_2023": LAST_SECOND + timedelta(milliseconds=123),
    "amazon_2023_csv": LAST_SECOND + timedelta(milliseconds=123),
    "movielens": LAST_SECOND,
    "movielens_1m": LAST_SECOND,
    "movietweetings": LAST_SECOND,
    "movielens_100k": LAST_SECOND,
    "recbole": LAST_SECOND,
}
"""The time of day in each of the files that tell it."""


@pytest.mark.parametrize("name", FILES)
def test_a_format_reads_its_files(name: str) -> None:
    found = read(FILES[name].encode(), format=name)
    assert found.ratings == [("A1", "B1", 4.0, DAY + TIMES.get(name, timedelta(0)))]
    assert not found.rejects


def test_every_format_has_such_a_file() -> None:
    assert {*FILES, "parquet"} == {*FORMATS}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (DAY.date(), 0),
        (datetime(2018, 1, 1, 23, 59), 86_340),
        (datetime(2018, 1, 1, 23, 59, tzinfo=timezone(timedelta(hours=1))), 82_740),
        *((value, 0) for value in (20180101, "2018-01-01", "20180101")),
        *((value, 1) for value in (SECONDS + 1, (SECONDS + 1) * 1000.0, f"{SECONDS + 1}000")),
        *((value, 0.25) for value in (SECONDS + 0.25, f"{SECONDS}.25", Decimal(f"{SECONDS}.25"))),
    ],
)
def test_dates_and_times_are_read_whatever_their_type(value: object, seconds: float) -> None:
    content = parquet(customer_id=[1], product_id=["B1"], star_rating=[4], review_date=[value])
    ((_, _, _, instant),) = read(content, format="parquet").ratings
    assert instant == DAY + timedelta(seconds=seconds)


@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2100, 12, 31)),
    st.integers(0, 999),
    st.sampled_from([10**9, 10**6, 10**3, 1]),
    st.sampled_from([int, str]),
)
def test_a_time_since_1970_is_read_whatever_its_unit(
    time: datetime, nanoseconds: int, unit: int, kind: Callable[[int], object]
) -> None:
    microseconds = (time.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    number = (microseconds * 1000 + nanoseconds) // unit
    assume(number < 2**63)
    assert instants([kind(number)]) == [EPOCH + timedelta(microseconds=number * unit // 1000)]


@given(
    st.datetimes(datetime(1900, 1, 3), datetime(2100, 12, 29)),
    st.sampled_from(["T", " "]),
    st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
    st.sampled_from(["", "Z", "+00:00", "+05:30", "-0800", "+02"]),
)
def test_a_written_time_is_that_of_its_zone_or_utc(
    time: datetime, separator: str, precision: str, zone: str
) -> None:
    text = time.isoformat(separator, precision) + zone
    expected = datetime.fromisoformat(text)
    assert instants([text]) == [expected if zone else expected.replace(tzinfo=UTC)]


@given(
    st.datetimes(datetime(1900, 1, 3), datetime(2100, 12, 29)),
    st.sampled_from(["ms", "us", "ns"]),
    st.sampled_from([None, "UTC", "Europe/Berlin", "America/New_York"]),
)
def test_a_timestamp_is_read_whatever_its_unit_and_zone(
    time: datetime, unit: Literal["ms", "us", "ns"], zone: str | None
) -> None:
    column = pl.Series([time]).dt.cast_time_unit(unit).dt.replace_time_zone("UTC")
    column = column.dt.convert_time_zone(zone) if zone else column.dt.replace_time_zone(None)
    cut = time.replace(microsecond=time.microsecond // 1000 * 1000) if unit == "ms" else time
    assert instants(column) == [cut.replace(tzinfo=UTC)]


@pytest.mark.parametrize(
    ("values", "resolution"),
    [
        (["2018-01-01", "20180101", str(SECONDS)], "day"),
        (["2018-01-01", "2018-01-01 12:30"], "second"),
        ([f"{SECONDS}001", "2018-01-01 12:30:05"], "millisecond"),
        (["2018-01-01 12:30:05.000001", "2018-01-01"], "microsecond"),
    ],
)
def test_the_resolution_is_the_coarsest_that_tells_every_time(
    values: list[str], resolution: str
) -> None:
    assert exact_resolution(to_instants(pl.Series(values)), "day") == resolution
    assert exact_resolution(to_instants(pl.Series(values)), "microsecond") == "microsecond"


@given(st.integers(-(2**63), 2**63 - 1) | st.floats() | st.integers() | st.text() | st.datetimes())
def test_whatever_stands_for_a_date_is_a_time_that_may_be_meant_or_rejected(value: object) -> None:
    kinds = (
        [value, str(value)] if not isinstance(value, int) or abs(value) < 2**63 else [str(value)]
    )
    for one in kinds:
        (instant,) = instants([one])
        assert instant is None or 1900 <= instant.year <= 2100


@pytest.mark.parametrize("value", [None, True, b"soon", time(12, 30)])
def test_a_column_of_no_dates_costs_its_rows(value: object) -> None:
    assert instants([value, value]) == [None, None]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6])
def test_the_last_day_of_all_stands_for_no_date(unit: int) -> None:
    """Databases write 9999-12-31 for never."""
    never = (datetime(9999, 12, 31, tzinfo=UTC) - EPOCH).days * 86_400 * unit
    assert instants([never]) == instants(["9999-12-31"]) == [None]


def instants(values: Sequence[object] | pl.Series) -> list[datetime | None]:
    """The instants of rows as they are read, None for a rejected one."""
    cells = parquet_cells(
        pl.DataFrame({"id": ["1"] * len(values), "stars": 1, "date": values}),
        {"customer": "id", "product": "id", "rating": "stars", "date": "date"},
    )
    checked = check(cells, Limits(None, None, None, None))
    found: list[datetime | None] = checked.ratings["rated_at"].to_list()
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
    with pytest.raises(UserError, match="is not a complete Parquet file"):
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
    assert found.ratings == [("196", "242", 3.0, datetime(1997, 12, 4, 15, 55, 49, tzinfo=UTC))]


def test_titles_and_categories_are_read_where_there_are_some() -> None:
    layout = format_of("jsonl", settings(title_column="name"))
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
        read(b"user,item\n1,2\n", format="csv")


def test_a_missing_date_is_told_to_be_needed() -> None:
    with pytest.raises(
        UserError,
        match=r"no column 'review_date' for the date among 'customer_id', 'product_id', "
        r"'star_rating': every rating needs a date, so set date_column",
    ):
        read(b"customer_id,product_id,star_rating\n1,2,3\n", format="csv")


@pytest.mark.parametrize("separator", [";", "|"])
def test_another_separator_is_told(separator: str) -> None:
    header = separator.join(["customer_id", "product_id", "star_rating", "review_date"])
    with pytest.raises(UserError, match=f"separated by '[{separator}]': .* commas .* tabs"):
        read(f"{header}\n".encode(), format="csv")


def test_a_missing_title_is_told_only_when_it_was_asked_for() -> None:
    content = b"customer_id,product_id,star_rating,review_date\n1,2,3,2018-01-01\n"
    assert read(content).ratings
    with pytest.raises(UserError, match="csv also needs 'name': set title_column"):
        read(content, title_column="name")


def test_a_binary_file_is_told() -> None:
    with pytest.raises(UserError, match="not text"):
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


@pytest.mark.parametrize(
    ("lowest", "highest", "reason"),
    [(None, 5, "above 5"), (1, None, "below 1"), (0, 5, "outside 0 to 5")],
)
def test_a_rating_out_of_range_is_told_the_limit(
    lowest: float | None, highest: float | None, reason: str
) -> None:
    rating = 8.0 if highest else -8.0
    cells = pl.DataFrame({"customer": "a", "product": "x", "rating": rating, "date": "2015-01-01"})
    limits = Limits(lowest, highest, None, None)
    checked = check(cells.with_columns(flaw=pl.lit(None, pl.String)), limits)
    assert checked.rejects["reason"].to_list() == [f"rating is {reason}"]
    assert limits.describe_outside(rating) == f"{rating:g} is {reason}"


def test_ratings_outside_the_window_are_counted_and_not_rejected() -> None:
    times = ["2013-12-31T23:59:59", "2014-01-01", "2015-08-31T23:59:59", "2015-09-01"]
    lines = "".join(f"1\t{number}\t5\t{time}\n" for number, time in enumerate(times))
    layout = FORMATS["movielens_100k"]
    (cells,) = cells_of(lines.encode(), layout)
    limits = Limits(1, 5, date(2014, 1, 1), date(2015, 8, 31))
    checked = check(cells, limits)
    assert checked.ratings["product"].to_list() == ["1", "2"]
    assert (checked.outside, len(checked.rejects)) == (2, 0)
