"""What a file is, told by its first line: which known format, or which one comes near."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from components.ingest.formats import Encoding, Format
from components.ingest.lines import first_line
from components.ingest.parsing import split_header, split_line

_NAMED = 20
_SHOWN = 80
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Head:
    """What an object begins with.

    Attributes:
        encoding: how its rows are written.
        line: the first line, empty for Parquet.
        names: the columns that the line names, if it is no row of text.
    """

    encoding: Encoding
    line: bytes = b""
    names: tuple[str, ...] = ()


def head_of(content: bytes, uri: str) -> Head:
    """What an object begins with, by so much of its content as to hold the first line.

    Raises:
        UserError: if it is damaged gzip data.
    """
    if content.startswith(_PARQUET_MAGIC):
        return Head("parquet")
    line = first_line(content, uri)
    if line.startswith(b"{"):
        return Head("json lines", line, _keys(line))
    text = line.decode(errors="replace")
    cells = text.split("\t") if "\t" in text else split_line(text, ",")
    return Head("delimited", line, tuple(cells or ()))


def find_format(head: Head, formats: Mapping[str, Format]) -> str | None:
    """The name of the first format that a file that begins so is certainly of."""
    return next((name for name, layout in formats.items() if fits(layout, head)), None)


def fits(layout: Format, head: Head) -> bool:
    """Whether a file that begins so is certainly of a format."""
    if head.encoding != layout.encoding:
        return False
    if layout.record:
        return re.fullmatch(layout.record.encode(), head.line) is not None
    return head.encoding == "parquet" or not _lacks(layout, head)


def _lacks(layout: Format, head: Head) -> list[str]:
    return [name for name in layout.needed if name not in head.names]


def _keys(line: bytes) -> tuple[str, ...]:
    try:
        return tuple(json.loads(line))
    except (ValueError, RecursionError):
        return ()


def count_lacks(head: Head, formats: Mapping[str, Format]) -> int:
    """How many columns a file lacks to be of the format that comes nearest; of none, many."""
    return min(map(len, _nearest(head, formats).values()), default=_NAMED)


def describe_unknown(head: Head, formats: Mapping[str, Format], uri: str) -> str:
    """Say of a file which formats come near, what it lacks to be of them, and what to set.

    Args:
        head: what the file begins with.
        formats: the formats by name, among them csv and jsonl for columns of any name.
        uri: what to call the file.

    Raises:
        UserError: if the first line is no text, or has separators that no format has.
    """
    if not head.line:
        return f"{uri} has no first line: upload it again"
    if head.encoding == "delimited":
        split_header(head.line, "", uri)
    there = ", ".join(map(repr, head.names[:_NAMED])) or f"of {head.line[:_SHOWN]!r}"
    near = "".join(
        f"; {name} also needs {', '.join(map(repr, lacks))}"
        for name, lacks in _nearest(head, formats).items()
    )
    own = formats["jsonl" if head.encoding == "json lines" else "csv"]
    missing = [what for what in own.required if getattr(own.columns, what) not in head.names]
    settings = ", ".join(f"{what}_column" for what in missing)
    return f"{uri}: no known format has the columns {there}{near}: set {settings}, or format"


def _nearest(head: Head, formats: Mapping[str, Format]) -> dict[str, list[str]]:
    """What the file lacks to be of the formats that come nearest, and have half of its columns."""
    lacking = {
        name: lacks
        for name, layout in formats.items()
        if layout.encoding == head.encoding and not layout.record
        if 2 * len(lacks := _lacks(layout, head)) < len(layout.needed)
    }
    fewest = min(map(len, lacking.values()), default=0)
    return {name: lacks for name, lacks in lacking.items() if len(lacks) == fewest}
