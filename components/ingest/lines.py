"""Text in blocks of whole lines, decompressed on the way, in bounded memory."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from isal import igzip_threaded
from isal.igzip_lib import IsalError

from components.errors import UserError

BLOCK_BYTES = 8 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_LINE = 64 << 20


@dataclass(frozen=True)
class Block:
    """Whole lines, each ended by a newline, and the number of the first, counted from 1."""

    text: bytes
    first_line: int

    def __len__(self) -> int:
        return self.text.count(b"\n")


def read_blocks(stream: io.RawIOBase, uri: str) -> Iterator[Block]:
    """Blocks of the text in a stream, gzip (of one member or more) or plain.

    Windows line ends become newlines, a missing last newline is added, a byte order mark left out.

    Raises:
        UserError: if the gzip data is damaged or cut, or a line has no end.
    """
    with _opened(stream, uri) as file:
        rest, line = file.read(len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK), 1
        while piece := file.read(BLOCK_BYTES):
            cut = piece.rfind(b"\n") + 1
            if not cut:
                rest += piece
                if len(rest) > _LONGEST_LINE:
                    raise UserError(f"{uri}: line {line} does not end: is it text, a row a line?")
                continue
            block = Block(_with_newlines(rest + piece[:cut]), line)
            yield block
            rest, line = piece[cut:], line + len(block)
        if rest:
            yield Block(_with_newlines(rest + b"\n"), line)


def _with_newlines(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n") if b"\r\n" in text else text


@contextmanager
def _opened(stream: io.RawIOBase, uri: str) -> Iterator[IO[bytes]]:
    buffered = io.BufferedReader(stream, 1 << 20)
    if not buffered.peek(2).startswith(_GZIP_MAGIC):
        yield buffered
        return
    try:
        with igzip_threaded.open(buffered, "rb", threads=1, block_size=1 << 20) as file:  # type: ignore[no-untyped-call]
            yield file
    except EOFError:
        raise UserError(f"{uri}: the gzip data is cut short: upload the whole file again") from None
    except (gzip.BadGzipFile, zlib.error, IsalError) as error:  # type: ignore[misc]
        raise UserError(
            f"{uri}: the gzip data is damaged ({error}): upload the file again"
        ) from None
