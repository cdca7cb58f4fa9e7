"""What Spark ingests is what one machine does, for every format."""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from components.artifacts.ratings import PRODUCTS, RATINGS, REJECTS, RatingsFolder
from components.errors import UserError
from components.ingest import spark as on_spark
from components.ingest.formats import FORMATS
from components.ingest.ingest import ingest
from tests.ingest.sources import amazon_file, amazon_line, parquet, put, settings
from tests.ingest.test_formats import FILES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("spark"), pytest.mark.timeout(600)]

ROWS = 40
SUFFIXES = {name: layout.suffixes[0] for name, layout in FORMATS.items()}


def text_of(name: str) -> bytes:
    """Ratings in a format, and lines that are none."""
    *header, line = FILES[name].split("\n")
    customers = (line.replace("A1", f"A{number}") for number in range(ROWS))
    lines = [
        one
        for number, row in enumerate(customers)
        for one in ([row, "né"][: 1 + (number % 9 == 4)])
    ]
    return "\r\n".join([*header, *lines]).encode()


def content_of(name: str) -> bytes:
    if name != "parquet":
        return text_of(name)
    return parquet(
        customer_id=[*range(ROWS)],
        product_id=["B1", "B2"] * (ROWS // 2),
        star_rating=[*range(ROWS)],
        review_date=["2018-01-01", "soon"] * (ROWS // 2),
        product_title=[None, "A Lamp"] * (ROWS // 2),
    )


def made(engine: str, source: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """All that the artifact of an engine says, but for which one made it."""
    given = {"engine": engine, "max_rejected_fraction": 1} | changes
    ingest(settings(source, **given), folder / engine)
    manifest = RatingsFolder.open(folder / engine).manifest
    tables = {
        name: pq.read_table(folder / engine / name).to_pylist()
        for name in (RATINGS, PRODUCTS, REJECTS)
    }
    return tables | {"details": manifest.details | {"settings": {}}}


@pytest.mark.parametrize("name", FORMATS)
def test_spark_reads_the_same(
    name: str, s3: "S3Client", bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_spark, "PIECE_BYTES", 300)
    content, suffix = content_of(name), SUFFIXES[name]
    put(s3, bucket, f"data/a{suffix}", content)
    put(s3, bucket, f"data/b{suffix}", content if name == "parquet" else gzip.compress(content))
    source = f"s3://{bucket}/data/"
    here, there = (made(engine, source, tmp_path, format=name) for engine in ("local", "spark"))
    assert here == there
    assert here[RATINGS]
    assert here[REJECTS]
    parts = len([*(tmp_path / "spark" / RATINGS).iterdir()])
    assert (parts == 2) == (name == "parquet" or _is_quoted(name))


def _is_quoted(name: str) -> bool:
    first = FILES[name].partition("\n")[0]
    return "," in first and not first.startswith("{")


def test_spark_describes_products_the_same(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    put(s3, bucket, "data/ratings.csv", text_of("movielens"))
    put(s3, bucket, "data/movies.csv", b"movieId,title,genres\nB1,A Lamp,Lights\nB2,None,Music\n")
    here, there = (made(one, f"s3://{bucket}/data/", tmp_path) for one in ("local", "spark"))
    assert here == there
    assert here[PRODUCTS] == [
        {"product_id": "B1", "product_title": "A Lamp", "product_category": "Lights"}
    ]


def test_a_damaged_object_is_told_in_one_line(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    whole = amazon_file(*(amazon_line(str(number)) for number in range(5000)))
    uri = put(s3, bucket, "a.tsv.gz", whole[: len(whole) // 2])
    with pytest.raises(UserError, match="the gzip data is cut short") as raised:
        made("spark", uri, tmp_path, format="amazon")
    assert str(raised.value).startswith(uri)
    assert "\n" not in str(raised.value)
    assert not [*tmp_path.iterdir()]
