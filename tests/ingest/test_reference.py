"""Reading agrees with the slow, obvious way, whatever the lines hold."""

import gzip
import json

from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.sources import Read, read, read_slowly, small_blocks

NAMES = ["customer_id", "product_id", "product_title", "star_rating", "review_date"]

ids = st.one_of(st.sampled_from(["", "7", "ü1", '"q', "\N{REPLACEMENT CHARACTER}"]), st.text("abc"))
titles = st.text(st.characters(exclude_characters="\n\r\t,", codec="utf-8"), max_size=8)
stars = st.sampled_from(["1", "5", "3.5", "4.0", "", "0", "6", "-1", "five", "nan", "inf", "1e9"])
written = ["2015-08-31", "1996-02-29", "2015-02-30", "20150831", "20150230"]
exact = [
    "2015-08-31T10:00:00Z",
    "2015-08-31 10:30",
    "2015-08-31 10:00:00.25+02:00",
    "2015-08-31T25:00",
]
times = ["1441065599", "1441065600123", "1441065600123456", "1441065600123456789", "0", "-1"]
parts = ["1441065599.5", "1441065600000.25", "-0.5"]
never = ["soon", "", "1899-12-31", "2101-01-01", "-9e9", "253402300799", "1e15", "1e30"]
days = st.sampled_from([*written, *exact, *times, *parts, *never])
rows = st.tuples(ids, ids, titles, stars, days).map(list)
broken_rows = st.lists(titles, max_size=7)
ends = st.sampled_from(["\n", "\r\n"])


@given(st.lists(rows | broken_rows, max_size=30), ends, st.integers(8, 300), st.booleans())
def test_tab_separated_lines_are_read_as_by_splitting_them(
    table: list[list[str]], end: str, block: int, whole_last_line: bool
) -> None:
    content = end.join("\t".join(cells) for cells in [NAMES, *table]).encode()
    content += end.encode() if whole_last_line else b""
    with small_blocks(block):
        found = read(gzip.compress(content), format="csv", min_rating=1, max_rating=5)
    assert found == read_slowly(content, "\t", NAMES)


@given(st.lists(rows, max_size=30), st.integers(8, 300))
def test_quoted_cells_are_read_as_what_is_quoted(table: list[list[str]], block: int) -> None:
    quoted = [[f'"{cell}"' for cell in (c.replace('"', '""') for c in cells)] for cells in table]
    content = "".join(f"{','.join(cells)}\n" for cells in [NAMES, *quoted]).encode()
    plain = "".join("\t".join(cells) + "\n" for cells in [NAMES, *table]).encode()
    with small_blocks(block):
        found = read(content, format="csv", min_rating=1, max_rating=5)
    assert found == read_slowly(plain, "\t", NAMES)


@given(st.lists(rows, max_size=30), st.integers(8, 300), st.booleans())
def test_json_lines_are_read_as_their_values(
    table: list[list[str]], block: int, broken: bool
) -> None:
    lines = [json.dumps(dict(zip(NAMES, cells, strict=True))) for cells in table]
    lines += ['{"customer_id": ', "[1]"] if broken else []
    content = "".join(f"{line}\n" for line in lines).encode()
    plain = "".join("\t".join(cells) + "\n" for cells in [NAMES, *table]).encode()
    with small_blocks(block):
        found = read(content, format="jsonl", min_rating=1, max_rating=5)
    expected = read_slowly(plain, "\t", NAMES)
    # The text had a line more at its head.
    rejects = [(line - 1, reason) for line, reason in expected.rejects]
    rejects += [(len(lines) - 1 + place, "not a JSON object") for place in range(2 * broken)]
    assert found == Read(expected.ratings, rejects)
