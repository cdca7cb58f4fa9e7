"""A file with every oddity that real ones have, in every wrapping that real ones come in."""

import gzip
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.ingest.sources import read, small_blocks

FOLDER = Path(__file__).parent / "golden"
CONTENT = (FOLDER / "reviews.tsv").read_bytes()


def in_members(content: bytes) -> bytes:
    """Several gzip members, cut in the middle of lines."""
    cuts = [0, 100, 5000, 5001, len(content)]
    pieces = [content[start:end] for start, end in pairwise(cuts)]
    return b"".join(map(gzip.compress, pieces))


WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "several gzip members": in_members,
    "gzip with padding": lambda content: gzip.compress(content) + bytes(512),
    "Windows line ends": lambda content: content.replace(b"\n", b"\r\n"),
    "no last newline": lambda content: content.removesuffix(b"\n"),
    "no last newline, Windows": lambda content: content.replace(b"\n", b"\r\n")[:-2],
    "byte order mark": lambda content: b"\xef\xbb\xbf" + content,
}


@pytest.mark.parametrize("block", [500, 8 << 20])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_real_file_is_read_whatever_its_wrapping(wrapping: str, block: int) -> None:
    with small_blocks(block):
        found = read(WRAPPINGS[wrapping](CONTENT))
    ratings = [
        f"{user},{item},{stars:g},{time:%Y-%m-%d}" for user, item, stars, time in found.ratings
    ]
    assert ratings == (FOLDER / "ratings.csv").read_text().splitlines()
    rejects = [f"{line},{reason}" for line, reason in found.rejects]
    assert rejects == (FOLDER / "rejects.csv").read_text().splitlines()
