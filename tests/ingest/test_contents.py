"""A folder as people have it: ratings are told from products, and from what is neither."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from components.artifacts import ratings as ratings_format
from components.errors import UserError
from components.ingest.ingest import ingest
from components.ingest.source import resolve
from tests.ingest.sources import amazon_file, amazon_line, parquet, put, settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOVIELENS = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,11,4.5,964981247\n"
    "2,999,0.5,1445714835\n",
    "movies.csv": 'movieId,title,genres\n1,Toy Story (1995),Adventure|Animation\n11,"American '
    'President, The (1995)",Comedy|Drama|Romance\n12,Dracula (1995),Comedy|Horror\n',
    "tags.csv": "userId,movieId,tag,timestamp\n2,60756,funny,1445714994\n",
    "links.csv": "movieId,imdbId,tmdbId\n1,0114709,862\n",
    "README.txt": "Summary",
}

TITLES = {"1": "Toy Story (1995)", "11": "American President, The (1995)", "999": ""}


def put_all(s3: "S3Client", bucket: str, files: Mapping[str, str | bytes]) -> str:
    for name, content in files.items():
        put(s3, bucket, f"data/{name}", content.encode() if isinstance(content, str) else content)
    return f"s3://{bucket}/data/"


def products(folder: Path) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = pq.read_table(folder / ratings_format.PRODUCTS).to_pylist()
    return table


def titles(folder: Path) -> dict[str, str]:
    return {row["product_id"]: row["product_title"] for row in products(folder)}


def test_a_folder_of_movielens_is_read_as_it_is(
    s3: "S3Client", bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    uri = put_all(s3, bucket, MOVIELENS)
    details = ingest(settings(uri), tmp_path / "ratings")
    assert details["rows"] == 3
    assert details["format"] == "movielens"
    assert [source["key"] for source in details["sources"]] == [
        "data/ratings.csv",
        "data/movies.csv",
    ]
    assert titles(tmp_path / "ratings") == TITLES
    assert products(tmp_path / "ratings")[0]["product_category"] == "Adventure|Animation"
    assert f"{uri}: format movielens" in caplog.messages
    assert "2 of 3 products have a title" in caplog.messages
    left_out = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert left_out == [
        f"{uri}{name} is left out: its first line shows no ratings or titles"
        for name in ("links.csv", "tags.csv")
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("movies.csv", MOVIELENS["movies.csv"]),
        ("movies.csv.gz", gzip.compress(MOVIELENS["movies.csv"].encode())),
        (
            "movies.dat",
            "1::Toy Story (1995)::Animation\n11::American President, The (1995)::Comedy\n"
            "5::Les Misérables: 1 (1995)::Drama\n".encode("latin-1"),
        ),
        (
            "u.item",
            "".join(
                f"{key}|{title}|01-Jan-1995||http://us.imdb.com/|{'|'.join('0' * 19)}\n"
                for key, title in {**TITLES, "5": "Les Misérables"}.items()
                if title
            ).encode("latin-1"),
        ),
        (
            "ml.item",
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            "1\tToy Story (1995)\t1995\tAnimation\n11\tAmerican President, The (1995)\t1995\t\n",
        ),
        (
            "meta.json.gz",
            gzip.compress(
                b'{"category": ["Movies", "DVD"], "title": "Toy Story (1995)", "asin": "1"}\n'
                b'{"title": "American President, The (1995)", "asin": "11"}\n{"asin": \n'
            ),
        ),
        (
            "meta.jsonl",
            '{"main_category": null, "title": "Toy Story (1995)", "parent_asin": "1"}\n'
            '{"title": "American President, The (1995)", "parent_asin": "11"}\n',
        ),
        (
            "products.csv",
            'product_title,product_id\nToy Story (1995),1\n"American President, The (1995)",11\n',
        ),
    ],
)
def test_titles_are_read_from_a_second_source(
    name: str, content: str | bytes, s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    uri = put_all(s3, bucket, {"ratings.csv": MOVIELENS["ratings.csv"]})
    second = put(
        s3, bucket, f"second/{name}", content.encode() if isinstance(content, str) else content
    )
    ingest(settings(uri, products_source=second), tmp_path / "ratings")
    assert titles(tmp_path / "ratings") == TITLES


def test_latin_titles_are_read_as_meant(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    for encoding in ("latin-1", "utf-8"):
        movies = "1::Misérables, Les (1995)::Drama|Musical\n".encode(encoding)
        uri = put_all(s3, bucket, {"ratings.dat": "7::1::5::978300760\n", "movies.dat": movies})
        ingest(settings(uri), tmp_path / "ratings")
        assert products(tmp_path / "ratings") == [
            {
                "product_id": "1",
                "product_title": "Misérables, Les (1995)",
                "product_category": "Drama|Musical",
            }
        ]


def test_the_first_category_of_a_path_stands(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    meta = {"asin": "B1", "title": "Another Lamp", "category": ["Home", "Lamps"]}
    second = put(s3, bucket, "meta.json", json.dumps(meta).encode())
    uri = put(s3, bucket, "a.tsv.gz", amazon_file(amazon_line(), amazon_line(product="B2")))
    ingest(settings(uri, products_source=second), tmp_path / "ratings")
    assert [tuple(row.values()) for row in products(tmp_path / "ratings")] == [
        ("B1", "Another Lamp", "Home"),
        ("B2", "A Lamp", "Lights"),
    ]


def test_the_version_changes_with_the_second_source(s3: "S3Client", bucket: str) -> None:
    uri = put(s3, bucket, "a.tsv.gz", amazon_file(amazon_line()))
    second = put(s3, bucket, "products.csv", b"product_id,product_title\nB1,A Lamp\n")
    asked = settings(uri, products_source=second)
    first = resolve(asked)
    assert first != resolve(settings(uri))
    put(s3, bucket, "products.csv", b"product_id,product_title\nB1,The Lamp\n")
    assert resolve(asked) != first


def test_a_mirror_has_the_products_too(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    uri = put(s3, bucket, "one/a.csv", MOVIELENS["ratings.csv"].encode())
    second = put(s3, bucket, "two/a.csv", MOVIELENS["movies.csv"].encode())
    asked = {"products_source": second, "mirror_to": f"s3://{bucket}/mine/"}
    version = resolve(settings(uri, **asked))
    first = ingest(settings(uri, **asked, source_version=version), tmp_path / "first")
    for key in ("one/a.csv", "two/a.csv"):
        s3.delete_object(Bucket=bucket, Key=key)
    assert resolve(settings(uri, **asked, source_version=version)) == version
    assert ingest(settings(uri, **asked, source_version=version), tmp_path / "again") == first
    assert titles(tmp_path / "again") == TITLES


BAD: dict[str, tuple[dict[str, str | bytes], dict[str, str], str]] = {
    "several formats": (
        {"a.tsv.gz": amazon_file(amazon_line()), "b.csv": MOVIELENS["ratings.csv"]},
        {},
        r"has ratings in several formats, amazon \(s3://.*a\.tsv\.gz\) and movielens \(.*b\.csv\): "
        "choose one file or folder, or set format",
    ),
    "no ratings": (
        {name: MOVIELENS[name] for name in ("tags.csv", "movies.csv", "links.csv")},
        {},
        r"tags\.csv: no known format has the columns 'userId', 'movieId', 'tag', 'timestamp'; "
        "movielens also needs 'rating': set customer_column",
    ),
    "unknown ratings beside products": (
        {"movies.csv": MOVIELENS["movies.csv"], "stars.csv": "who,what,stars,when\n"},
        {},
        r"stars\.csv: no known format has the columns 'who', 'what', 'stars', 'when': set cust",
    ),
    "an explicit format": (
        {"ratings.csv": MOVIELENS["ratings.csv"]},
        {"format": "csv"},
        "no column 'customer_id' for the customer among 'userId', .*: set customer_column, or "
        "format=auto, which leaves out files without ratings",
    ),
    "ratings for products": (
        {"ratings.csv": MOVIELENS["ratings.csv"]},
        {"products_source": "s3://{}/data/ratings.csv"},
        r"ratings\.csv: its first line has no known columns of products: name the columns prod",
    ),
    "products in Parquet without an id": (
        {
            "ratings.csv": MOVIELENS["ratings.csv"],
            "items.parquet": parquet(movieId=[1], title=["A"]),
        },
        {"products_source": "s3://{}/data/items.parquet", "format": "movielens"},
        "no column 'product_id' for the product among 'movieId', 'title': rename the column",
    ),
    "no products": (
        {"ratings.csv": MOVIELENS["ratings.csv"]},
        {"products_source": "s3://{}/nowhere"},
        "nowhere: there is no such object",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_certain_is_told_in_a_line(
    case: str, s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    files, changes, message = BAD[case]
    uri = put_all(s3, bucket, files)
    given = {name: value.format(bucket) for name, value in changes.items()}
    with pytest.raises(UserError, match=message) as raised:
        ingest(settings(uri, **given), tmp_path / "ratings")
    assert "\n" not in str(raised.value)
