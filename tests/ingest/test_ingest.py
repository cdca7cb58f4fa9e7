"""The step from objects in S3 to an artifact, and every mistake told in one line."""

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from components.artifacts import ratings as ratings_format
from components.artifacts.ratings import RatingsFolder
from components.errors import UserError
from components.ingest import download
from components.ingest.ingest import ingest
from components.ingest.source import resolve
from pipelines.local.object_store import ObjectStore
from pipelines.local.sample_data import write_sample
from tests.ingest.proxy import cutting_proxy
from tests.ingest.sources import HEADER, amazon_file, amazon_line, put, settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

GOOD = [amazon_line(customer=str(number)) for number in range(200)]


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = pq.read_table(folder / name).to_pylist()
    return table


def test_all_objects_become_one_artifact(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    put(s3, bucket, "data/a.tsv.gz", amazon_file(*GOOD, "US\t1", amazon_line(stars="7")))
    put(s3, bucket, "data/b.tsv", f"{HEADER}\n{amazon_line('x', 'B2', title='Té')}\n".encode())
    output = tmp_path / "ratings"
    ingest(settings(f"s3://{bucket}/data/", max_rejected_fraction=0.02), output)
    found = RatingsFolder.open(output)
    assert found.manifest.details["rows"] == 201
    assert found.manifest.details["rejects"] == {
        "rating is outside 1 to 5": 1,
        "wrong number of columns": 1,
    }
    assert found.scale == (1.0, 5.0)
    table = pq.read_table(output / ratings_format.RATINGS)
    assert table.schema.equals(ratings_format.RATINGS_SCHEMA)
    assert table["customer_id"].to_pylist() == [*map(str, range(200)), "x"]
    assert rows(output, ratings_format.PRODUCTS) == [
        {"product_id": "B1", "product_title": "A Lamp", "product_category": "Lights"},
        {"product_id": "B2", "product_title": "Té", "product_category": "Lights"},
    ]
    rejects = rows(output, ratings_format.REJECTS)
    assert [(reject["line"], reject["raw"][:4]) for reject in rejects] == [
        (202, "US\t1"),
        (203, "US\t1"),
    ]
    assert rejects[0]["object"] == f"s3://{bucket}/data/a.tsv.gz"


def test_the_manifest_names_the_bytes_it_was_made_from(
    s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    uri = put(s3, bucket, "a.tsv.gz", amazon_file(*GOOD))
    details = ingest(settings(uri), tmp_path / "ratings")
    (source,) = details["sources"]
    assert source["key"] == "a.tsv.gz"
    assert source["etag"] == s3.head_object(Bucket=bucket, Key="a.tsv.gz")["ETag"].strip('"')
    assert len(source["sha256"]) == 64
    assert details["source_version"] == resolve(settings(uri))


def test_the_scale_is_what_is_found_where_the_format_has_none(
    s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    lines = ["customer_id,product_id,star_rating,review_date"]
    lines += [f"1,{stars},{stars},2018-01-01" for stars in (2, 10, -3)]
    uri = put(s3, bucket, "a.csv", "\n".join(lines).encode())
    assert ingest(settings(uri, format="csv"), tmp_path / "r")["scale"] == [-3.0, 10.0]


@pytest.mark.parametrize(
    ("odd", "changes", "warning"),
    [
        (
            "99",
            {},
            "2 of 102 ratings are far above the others, such as 99: if they are "
            "not real ratings, set max_rating=5",
        ),
        (
            "-1",
            {},
            "2 of 102 ratings are far below the others, such as -1: if they are "
            "not real ratings, set min_rating=1",
        ),
        ("99", {"max_rating": 99}, ""),
        ("3", {}, ""),
    ],
)
def test_ratings_far_from_the_scale_of_the_others_are_told(
    odd: str,
    changes: dict[str, Any],
    warning: str,
    s3: "S3Client",
    bucket: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    stars = [*"12345" * 20, odd, odd]
    lines = [f"{number},B1,{one},2018-01-01" for number, one in enumerate(stars)]
    header = "customer_id,product_id,star_rating,review_date"
    uri = put(s3, bucket, "a.csv", "\n".join([header, *lines]).encode())
    ingest(settings(uri, format="csv", **changes), tmp_path / "r")
    low, high = min(1, int(odd)), max(5, int(odd))
    assert f"stars from {low} to {high}" in caplog.messages
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ([warning] if warning else [])


def test_the_time_of_day_is_kept_and_how_exactly_it_is_known(
    s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    """A later object may tell the time more exactly than one before."""
    header = "customer_id,product_id,star_rating,review_date"
    put(s3, bucket, "by-day/a.csv", f"{header}\n1,B1,5,2015-08-31".encode())
    put(s3, bucket, "all/a.csv", f"{header}\n1,B1,5,2015-08-31".encode())
    put(s3, bucket, "all/b.csv", f"{header}\n1,B2,5,2015-08-31 12:30:05".encode())
    put(s3, bucket, "all/c.csv", f"{header}\n1,B3,5,20150831".encode())
    details = ingest(settings(f"s3://{bucket}/by-day/", format="csv"), tmp_path / "by-day")
    assert details["resolution"] == "day"
    details = ingest(settings(f"s3://{bucket}/all/", format="csv"), tmp_path / "all")
    assert details["resolution"] == "second"
    day = datetime(2015, 8, 31, tzinfo=UTC)
    assert [row["rated_at"] for row in rows(tmp_path / "all", ratings_format.RATINGS)] == [
        *(day, day + timedelta(hours=12, minutes=30, seconds=5), day)
    ]


def test_a_window_leaves_other_days_out(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    days = ["2015-07-31", "2015-08-01", "2015-08-31", "2015-09-01"]
    uri = put(s3, bucket, "a.tsv.gz", amazon_file(*(amazon_line(day=day) for day in days)))
    window = settings(uri, run_date="2015-08-31T05:00:00Z", window_days=31)
    details = ingest(window, tmp_path / "ratings")
    assert (details["rows"], details["outside_window"]) == (2, 2)


def test_a_date_that_cannot_be_meant_is_rejected_and_not_outside_the_window(
    s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    days = ["2015-08-31", "1440979200000000", "9999-12-31", "99999999999999999", "0001-01-01"]
    uri = put(s3, bucket, "a.tsv.gz", amazon_file(*(amazon_line(day=day) for day in days)))
    wanted = settings(uri, since="2015-01-01", until="2015-12-31", max_rejected_fraction=1)
    details = ingest(wanted, tmp_path / "ratings")
    assert (details["rows"], details["outside_window"]) == (2, 0)
    assert details["rejects"] == {"bad date": 3}
    assert [row["raw"][-10:] for row in rows(tmp_path / "ratings", ratings_format.REJECTS)] == [
        one[-10:] for one in days[2:]
    ]


def test_the_same_source_gives_the_same_artifact(
    s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    file = tmp_path / "sample.tsv.gz"
    write_sample(file, 3000, seed=1)
    uri = put(s3, bucket, "a.tsv.gz", file.read_bytes())
    digests = set()
    for name in ("first", "second"):
        ingest(settings(uri), tmp_path / name)
        digests.add(RatingsFolder.open(tmp_path / name).manifest.digest)
    assert len(digests) == 1


def test_cut_connections_change_nothing_in_the_artifact(
    s3: "S3Client",
    bucket: str,
    object_store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "RANGE_BYTES", 300_000)
    monkeypatch.setattr(download, "_FIRST_PAUSE_SECONDS", 0.01)
    file = tmp_path / "sample.tsv.gz"
    write_sample(file, 10_000, seed=1)
    uri = put(s3, bucket, "a.tsv.gz", file.read_bytes())
    whole = ingest(settings(uri), tmp_path / "whole")
    with cutting_proxy(object_store.endpoint, cuts=3) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        assert ingest(settings(uri), tmp_path / "cut") == whole
        assert proxy.cut == 3


def test_a_mirror_is_read_in_place_of_the_source(
    s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    uri = put(s3, bucket, "a.tsv.gz", amazon_file(*GOOD))
    asked = settings(uri, mirror_to=f"s3://{bucket}/mine", source_version=resolve(settings(uri)))
    first = ingest(asked, tmp_path / "first")
    s3.delete_object(Bucket=bucket, Key="a.tsv.gz")
    assert ingest(asked, tmp_path / "second") == first


LATIN = f"{HEADER}\n{amazon_line(customer='Zoë')}\n".encode("latin-1")

BAD: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "a truncated gzip": (amazon_file(*GOOD)[:-20], {}, "gzip data is cut short: upload"),
    "a damaged gzip": (
        (good := amazon_file(*GOOD))[:60] + bytes(40) + good[100:],
        {},
        "gzip data is damaged",
    ),
    "wrong columns": (
        b"user\titem\n1\t2\n",
        {},
        "no known format has the columns 'user', 'item': set customer_column, product_column, "
        "rating_column, date_column, or format",
    ),
    "too many rejects": (
        amazon_file(*GOOD, "US", "US\t2", "US\t3"),
        {},
        r"3 of 203 rows are not ratings \(s3://.* line 202, wrong number of columns; .* line 203",
    ),
    "a header alone": (amazon_file(), {}, "holds no ratings in its 0 rows: upload it again"),
    "a gzip of nothing": (gzip.compress(b""), {}, "has no text in its first line: upload it again"),
    "rejects alone": (
        amazon_file("US"),
        {"max_rejected_fraction": 1},
        "holds no ratings in its 1 rows",
    ),
    "dates in another order": (
        amazon_file(*(amazon_line(day="08/31/2015") for _ in range(9)), "US"),
        {},
        r"line 2, bad date; .*: check date_column; dates are read as 2015-08-31, "
        "2015-08-31T12:30:05Z, 20150831, or seconds, milliseconds, .* since 1970, or raise "
        "max_rejected_fraction",
    ),
    "another encoding": (
        gzip.compress(LATIN),
        {},
        "line 2, id is not UTF-8, .*: convert the file to UTF-8, or raise",
    ),
    "another scale": (
        amazon_file(*(amazon_line(stars="80") for _ in range(9))),
        {},
        "line 2, 80 is outside 1 to 5; .*: check rating_column, min_rating and max_rating, or",
    ),
    "stars in words": (
        amazon_file(*(amazon_line(stars="five") for _ in range(9))),
        {},
        "line 2, rating is no number; .*: check rating_column, or raise",
    ),
    "no rating in the window": (
        amazon_file(*GOOD),
        {"since": "2020-01-01"},
        "has no ratings between 2020-01-01 and the last, but 200 on other days",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_source_is_told_and_nothing_is_left(
    case: str, s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    content, changes, message = BAD[case]
    uri = put(s3, bucket, "a.tsv.gz", content)
    output = tmp_path / "work" / "ratings"
    with pytest.raises(UserError, match=message) as raised:
        ingest(settings(uri, **changes), output)
    assert "\n" not in str(raised.value)
    assert list(tmp_path.glob("work/*")) == []


def run_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "components.ingest", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_says_what_it_did(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    uri = put(s3, bucket, "a.tsv.gz", amazon_file(*GOOD, "US\t3"))
    done = run_command("--source", uri, "--output", tmp_path / "ratings")
    assert done.returncode == 0
    assert f"{uri}: 200 ratings" in done.stderr
    assert "rejected 1 rows: wrong number of columns" in done.stderr


def test_the_command_tells_a_mistake_in_one_line(bucket: str, tmp_path: Path) -> None:
    done = run_command("--source", f"s3://{bucket}/a", "--output", tmp_path / "ratings")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ingest: s3://")


INGEST = """
import sys
from pathlib import Path
from components.artifacts import ratings
from components.ingest import catalogue
from components.ingest.ingest import ingest
from components.ingest.settings import IngestSettings
ratings._ROWS_A_GROUP, catalogue._ROWS_AT_ONCE = 50_000, 20_000
ingest(IngestSettings(source=sys.argv[1]), Path(sys.argv[2]))
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
"""Prints the peak of the process's own memory, in kB; `getrusage` would count its parent's."""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_source(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    """With fewer rows than usual in what is collected before it is written."""
    file = tmp_path / "sample.tsv.gz"
    write_sample(file, 100_000, seed=1, products=2000, customers=60_000)
    part = file.read_bytes()
    peaks = []
    for count in (4, 20):
        uri = put(s3, bucket, f"{count}.tsv.gz", part * count)
        command = [sys.executable, "-c", INGEST, uri, str(tmp_path / str(count))]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        peaks.append(int(ended.stdout))
    assert peaks[1] < 1.25 * peaks[0], "of five times the source"


def test_details_are_json(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    uri = put(s3, bucket, "a.tsv", gzip.decompress(amazon_file(*GOOD)))
    assert json.dumps(ingest(settings(uri), tmp_path / "ratings"))
