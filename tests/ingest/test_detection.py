"""A format is found by the first line where that is certain, and told what it lacks where not."""

import gzip
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import UserError
from components.ingest.detection import describe_unknown, find_format, fits, head_of
from components.ingest.formats import FORMATS, format_of
from components.ingest.products import PRODUCT_FORMATS
from pipelines.local.sample_data import COLUMNS
from tests.ingest.sources import settings

NOISE = random.Random(1).randbytes(9999)
URI = "s3://shop/key"

FIRST_LINES = {
    "amazon": "\t".join(COLUMNS),
    "amazon_2018": '{"overall": 5.0, "verified": true, "reviewTime": "06 15, 2017", "reviewerID": '
    '"A1J9V9XW0C5IT0", "asin": "B00006L9LC", "unixReviewTime": 1497484800}',
    "amazon_2018_csv": "B00006L9LC,A1J9V9XW0C5IT0,5.0,1497484800",
    "amazon_2023": '{"rating": 5.0, "title": "Such a lovely scent", "text": "", "images": [], '
    '"asin": "B00YQ6X8EO", "parent_asin": "B00YQ6X8EO", "user_id": "AGKHLEW2SOWHNMFQIJGBECAF7INQ", '
    '"timestamp": 1588687728923, "helpful_vote": 0, "verified_purchase": true}',
    "amazon_2023_csv": "user_id,parent_asin,rating,timestamp",
    "movielens": "userId,movieId,rating,timestamp",
    "movielens_1m": "1::1193::5::978300760",
    "movietweetings": "1::0114508::8::1381006850",
    "movielens_100k": "196\t242\t3\t881250949",
    "recbole": "user_id:token\titem_id:token\trating:float\ttimestamp:float",
    "csv": "review_date,star_rating,customer_id,product_id,colour",
    "jsonl": '{"customer_id": 1, "product_id": 2, "star_rating": 3, "review_date": "2015-08-31"}',
    "parquet": "PAR1\x15\x04\x15",
}

OF_PRODUCTS = {
    "MovieLens latest": "movieId,title,genres",
    "MovieLens 1M": "1::Toy Story (1995)::Animation|Children's|Comedy",
    "MovieTweetings": "0000008::Edison Kinetoscopic Record of a Sneeze (1894)::Documentary|Short",
    "MovieLens 100K": "1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?"
    "Toy%20Story%20(1995)|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0",
    "RecBole": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq",
    "Amazon 2018": '{"category": ["Electronics"], "title": "A Lamp", "asin": "B1"}',
    "Amazon 2023": '{"main_category": "Beauty", "title": "A Comb", "parent_asin": "B1", '
    '"average_rating": 4.8, "categories": []}',
    "own": "product_id\tproduct_title",
}

OF_NEITHER = {
    "tags.csv": "userId,movieId,tag,timestamp",
    "links.csv": "movieId,imdbId,tmdbId",
    "users.dat": "1::F::1::10::48067",
    "u.user": "1|24|M|technician|85711",
    "headerless, customers first": "A1J9V9XW0C5IT0,B00006L9LC,5.0,1497484800",
    "numbers": "1,2,3,964982703",
    "nothing": "",
    "cut JSON": '{"customer_id": ',
    "deep JSON": '{"customer_id": ' + "[" * 50_000,
}


def found(line: str, **changes: str) -> str | None:
    head = head_of(line.encode(errors="replace"), URI)
    return find_format(head, {name: format_of(name, settings(**changes)) for name in FORMATS})


def described(line: str) -> str:
    formats = {name: format_of(name, settings()) for name in FORMATS}
    try:
        return describe_unknown(head_of(line.encode(errors="replace"), URI), formats, URI)
    except UserError as error:
        return str(error)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_found_by_the_first_line(name: str) -> None:
    assert found(FIRST_LINES[name] + "\nwhatever") == name


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"parquet"}))
def test_compression_and_a_byte_order_mark_change_nothing(name: str) -> None:
    content = gzip.compress(b"\xef\xbb\xbf" + FIRST_LINES[name].encode() + b"\r\n" + NOISE)
    assert head_of(content[:-20], URI) == head_of(FIRST_LINES[name].encode(), URI)


@pytest.mark.parametrize("line", [*OF_PRODUCTS.values(), *OF_NEITHER.values()])
def test_what_may_hold_no_ratings_is_of_no_format(line: str) -> None:
    assert found(line) is None


@pytest.mark.parametrize(
    ("lines", "are"), [(OF_PRODUCTS, True), (OF_NEITHER, False)], ids=["products", "neither"]
)
def test_products_are_told_from_what_is_neither(lines: dict[str, str], are: bool) -> None:
    for line in lines.values():
        head = head_of(line.encode(), URI)
        assert any(fits(layout, head) for layout in PRODUCT_FORMATS) is are, line


@given(st.text(max_size=30) | st.binary(max_size=30).map(lambda some: some.decode("latin-1")))
def test_any_text_is_of_no_format_and_told_in_one_line(text: str) -> None:
    if head_of(text.encode(errors="replace"), URI).encoding == "parquet":
        return
    assert found(text) is None
    words = described(text)
    assert words.startswith(URI)
    assert "\n" not in words


def test_columns_of_any_name_are_of_the_format_for_them() -> None:
    named = {
        "customer_column": "userId",
        "product_column": "movieId",
        "rating_column": "stars",
        "date_column": "when",
    }
    assert found("who,what,userId,movieId,stars,when", **named) == "movielens"
    named |= {"customer_column": "who", "product_column": "what"}
    assert found("who,what,stars,when", **named) == "csv"
    assert found(json.dumps({"who": 1, "what": 2, "stars": 3, "when": 4}), **named) == "jsonl"
    assert found("who,what,stars", **named) is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "userId,movieId,rating",
            "no known format has the columns 'userId', 'movieId', 'rating'; movielens also needs "
            "'timestamp': set customer_column, product_column, rating_column, date_column, or "
            "format",
        ),
        (
            "customer_id,product_id,star_rating",
            "; csv also needs 'review_date': set date_column, or format",
        ),
        (
            '{"reviewerID": 1, "asin": 2, "overall": 3}',
            "'reviewerID', 'asin', 'overall'; amazon_2018 also needs 'unixReviewTime': set cust",
        ),
        ("1,2,3,4", "has the columns '1', '2', '3', '4': set customer_column, product_column, rat"),
        ('{"reviewerID": ', "has the columns of b'{\"reviewerID\": ': set customer_column"),
        ("", "has no text in its first line: upload it again"),
        ("UserID::MovieID::Rating::Timestamp", "its first line seems to be separated by '::'"),
    ],
)
def test_what_comes_near_is_named_with_what_it_lacks(line: str, words: str) -> None:
    assert words in described(line)
