"""Recognise the format of a file by its first line, or find the formats that come nearest."""

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
    """The beginning of an object.

    Attributes:
        encoding: how its rows are written.
        line: the first line; empty for Parquet.
        names: the names of the columns, if the line has names; empty for Parquet.
    """

    encoding: Encoding
    line: bytes = b""
    names: tuple[str, ...] = ()


def head_of(content: bytes, uri: str) -> Head:
    """Read the beginning of an object.

    Args:
        content: its first bytes, at least the whole first line.
        uri: of the object, for messages.

    Raises:
        UserError: if the gzip data is damaged.
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
    """The name of the first format that a file with this beginning certainly has, or None."""
    return next((name for name, layout in formats.items() if fits(layout, head)), None)


def fits(layout: Format, head: Head) -> bool:
    """Whether a file with this beginning certainly has a format."""
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
    """The number of columns that a file lacks for the nearest format; many if none is near."""
    return min(map(len, _nearest(head, formats).values()), default=_NAMED)


def describe_unknown(head: Head, formats: Mapping[str, Format], uri: str) -> str:
    """Name the formats that come nearest, the columns that a file lacks for them, and the remedy.

    Args:
        head: the beginning of the file.
        formats: the formats by name, among them csv and jsonl for columns of any name.
        uri: of the file.

    Raises:
        UserError: if the first line is not text, or has separators that no format has.
    """
    if not head.line:
        return f"{uri} has no text in its first line: upload it again"
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
    """The missing columns of the nearest formats, of which the file has more than half."""
    lacking = {
        name: lacks
        for name, layout in formats.items()
        if layout.encoding == head.encoding and not layout.record
        if 2 * len(lacks := _lacks(layout, head)) < len(layout.needed)
    }
    fewest = min(map(len, lacking.values()), default=0)
    return {name: lacks for name, lacks in lacking.items() if len(lacks) == fewest}
