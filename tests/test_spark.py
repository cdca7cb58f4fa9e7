"""What Spark makes of ratings is what one machine does."""

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from components.artifacts.ratings import PRODUCTS, RATINGS, REJECTS, RatingsFolder
from components.artifacts.splits import STATISTICS, Splits
from components.errors import UserError
from components.ingest import spark as on_spark
from components.ingest.formats import FORMATS
from components.ingest.ingest import ingest
from components.prepare.prepare import prepare
from components.prepare.settings import PrepareSettings
from components.spark import spark_session
from tests.ingest.sources import amazon_file, amazon_line, parquet, put, settings
from tests.ingest.test_formats import FILES
from tests.prepare.test_prepare import Row, make_rows, write_ratings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ENGINES = ("local", "spark")
ROWS = 40
SUFFIXES = {name: layout.suffixes[0] for name, layout in FORMATS.items()}


def on_a_cluster(test: Any) -> Any:
    """A test that shares the cluster of the test run."""
    for mark in (pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(600)):
        test = mark(test)
    return pytest.mark.usefixtures("spark")(test)


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


def ingested(engine: str, source: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """All that the ratings of an engine say, but for which one made them."""
    given = {"engine": engine, "max_rejected_fraction": 1} | changes
    ingest(settings(source, **given), folder / engine)
    manifest = RatingsFolder.open(folder / engine).manifest
    tables = {
        name: pq.read_table(folder / engine / name).to_pylist()
        for name in (RATINGS, PRODUCTS, REJECTS)
    }
    return tables | {"details": manifest.details | {"settings": {}}}


@on_a_cluster
@pytest.mark.parametrize("name", FORMATS)
def test_spark_reads_the_same(
    name: str, s3: "S3Client", bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, suffix = content_of(name), SUFFIXES[name]
    monkeypatch.setattr(on_spark, "PIECE_BYTES", len(content) // 3)
    put(s3, bucket, f"data/a{suffix}", content)
    put(s3, bucket, f"data/b{suffix}", content if name == "parquet" else gzip.compress(content))
    source = f"s3://{bucket}/data/"
    here, there = (ingested(engine, source, tmp_path, format=name) for engine in ENGINES)
    assert here == there
    assert here[RATINGS]
    assert here[REJECTS]
    parts = len([*(tmp_path / "spark" / RATINGS).iterdir()])
    assert (parts == 2) == (name == "parquet" or _is_quoted(name))


def _is_quoted(name: str) -> bool:
    first = FILES[name].partition("\n")[0]
    return "," in first and not first.startswith("{")


@on_a_cluster
def test_spark_describes_products_the_same(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    put(s3, bucket, "data/ratings.csv", text_of("movielens"))
    put(s3, bucket, "data/movies.csv", b"movieId,title,genres\nB1,A Lamp,Lights\nB2,None,Music\n")
    here, there = (ingested(engine, f"s3://{bucket}/data/", tmp_path) for engine in ENGINES)
    assert here == there
    assert here[PRODUCTS] == [
        {"product_id": "B1", "product_title": "A Lamp", "product_category": "Lights"}
    ]


@on_a_cluster
def test_a_damaged_object_is_told_in_one_line(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    whole = amazon_file(*(amazon_line(str(number)) for number in range(5000)))
    uri = put(s3, bucket, "a.tsv.gz", whole[: len(whole) // 2])
    with pytest.raises(UserError, match="the gzip data is cut short") as raised:
        ingested("spark", uri, tmp_path, format="amazon")
    assert str(raised.value).startswith(uri)
    assert "\n" not in str(raised.value)
    assert not [*tmp_path.iterdir()]


def make_repeated(customers: int, products: int) -> list[Row]:
    """Ratings of which some pairs have several, at one instant or at others."""
    rows = make_rows(customers, products)
    again = [(*row[:2], float(number % 9 + 1) / 2, row[3]) for number, row in enumerate(rows[::3])]
    later = [(*row[:3], rows[0][3]) for row in rows[::7]]
    return rows + again + later


def upload(s3: "S3Client", bucket: str, rows: list[Row]) -> str:
    """Put half of the ratings into one object, half into another, and return their URI."""
    for name, half in (("a", rows[::2]), ("b", rows[1::2])):
        lines = [f"{who},{what},{stars},{when.isoformat()}" for who, what, stars, when in half]
        content = "\n".join(["customer_id,product_id,star_rating,review_date", *lines])
        put(s3, bucket, f"data/{name}.csv", content.encode())
    return f"s3://{bucket}/data/"


def prepared(engine: str, ratings: Path, **changes: Any) -> Splits:
    output = ratings.with_name(f"{engine} splits")
    settings = PrepareSettings.model_validate(
        {"engine": engine, "min_product_ratings": 30} | changes
    )
    prepare(settings, ratings, output)
    return Splits.open(output)


def contents(splits: Splits) -> dict[str, Any]:
    """All that splits say, but for how their tables are cut and which engine made them."""
    parts = {
        name: [column.tolist() for column in vars(getattr(splits, name)).values()]
        for name in ("train", "validation", "test")
    }
    details = splits.manifest.details | {"settings": {}}
    statistics = json.loads((splits.path / STATISTICS).read_text())
    tables = {"customers": splits.customers.to_pydict(), "products": splits.products.to_pydict()}
    return {**parts, **tables, "details": details, "statistics": statistics}


@on_a_cluster
@pytest.mark.parametrize(
    "changes",
    [
        {"split": "last", "deduplicate": "latest"},
        {"split": "random", "deduplicate": "mean", "seed": 7},
        {"split": "temporal", "deduplicate": "first", "fixpoint": False},
    ],
    ids=lambda changes: changes["split"],
)
def test_spark_makes_the_same_splits_of_its_ratings(
    changes: dict[str, Any], s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run [1] of *"
    source = upload(s3, bucket, make_repeated(120, 40))
    assert ingested("local", source, folder) == ingested("spark", source, folder)
    here, there = (prepared(engine, folder / engine, **changes) for engine in ENGINES)
    assert contents(here) == contents(there)
    assert here.test
    tables = {path.parent.name for path in there.path.rglob("part-*.parquet")}
    assert tables == {path.name for path in here.path.glob("*.parquet")}


@on_a_cluster
def test_an_executor_out_of_memory_is_told() -> None:
    long = "length(repeat(cast(id as string), 2000000000))"
    told = pytest.raises(UserError, match=r"raise spark\.executor\.memory,")
    with told as raised, spark_session("test") as spark:
        spark.range(1).selectExpr(long).collect()
    assert "\n" not in str(raised.value)


@on_a_cluster
def test_a_step_that_was_killed_leaves_nothing_and_may_be_tried_again(
    s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    source = upload(s3, bucket, make_rows(120, 40))
    output = tmp_path / "spark"
    command = [sys.executable, "-m", "components.ingest", f"--source={source}", "--engine=spark"]
    with subprocess.Popen([*command, f"--output={output}"], env=os.environ) as killed:
        while not [*tmp_path.rglob("part-*.parquet")]:
            assert killed.poll() is None
            time.sleep(0.01)
        killed.kill()
    assert not output.exists()
    assert ingested("spark", source, tmp_path) == ingested("local", source, tmp_path)


@on_a_cluster
def test_spark_tells_that_too_few_ratings_are_left(tmp_path: Path) -> None:
    ratings = write_ratings(tmp_path / "ratings", make_rows())
    with pytest.raises(UserError, match="lower min_customer_ratings=99 or") as raised:
        prepared("spark", ratings, min_customer_ratings=99)
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["ratings"]


def test_no_address_of_spark_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    ratings = write_ratings(tmp_path / "ratings", make_rows())
    with pytest.raises(UserError, match="nothing says where Spark is"):
        prepared("spark", ratings)


def test_a_spark_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_REMOTE", "sc://127.0.0.1:9")
    ratings = write_ratings(tmp_path / "ratings", make_rows())
    with pytest.raises(UserError, match=r"Spark does not answer at SPARK_REMOTE=sc://127.0.0.1:9"):
        prepared("spark", ratings)
