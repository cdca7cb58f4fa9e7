"""Read text, gzip or plain, in blocks of whole lines, in bounded memory."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from isal import igzip
from isal.igzip_lib import IsalError

from components.errors import UserError

BLOCK_BYTES = 8 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_LINE = 64 << 20


def read_blocks(stream: io.RawIOBase, uri: str) -> Iterator[bytes]:
    """Read the text of a stream, gzip (with one or more members) or plain.

    Windows line ends become newlines, a missing newline at the end is added, and a byte order mark
    is removed.

    Raises:
        UserError: if the gzip data is damaged or incomplete, or a line is too long.
    """
    with _opened(stream, uri) as file:
        rest = file.read(len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK)
        while piece := file.read(BLOCK_BYTES):
            cut = piece.rfind(b"\n") + 1
            if cut:
                yield _with_newlines(b"".join((rest, memoryview(piece)[:cut])))
                rest = piece[cut:]
            else:
                rest += piece
            if len(rest) > _LONGEST_LINE:
                raise UserError(
                    f"{uri} has a line of more than {_LONGEST_LINE >> 20} MiB: is it text with one "
                    f"row in each line?"
                )
        if rest:
            yield _with_newlines(rest + b"\n")


def is_compressed(content: bytes) -> bool:
    """Whether a text that begins so is gzip."""
    return content.startswith(_GZIP_MAGIC)


def first_line(content: bytes, uri: str) -> bytes:
    """The first line of a text, gzip or plain, without its line end.

    Args:
        content: the beginning of the text, at least the whole line.
        uri: of the object, for messages.

    Raises:
        UserError: if the gzip data is damaged, or does not have the whole line.
    """
    with _opened(io.BytesIO(content), uri) as file:
        return file.readline().removeprefix(_BYTE_ORDER_MARK).rstrip(b"\r\n")


def _with_newlines(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text


@contextmanager
def _opened(stream: io.RawIOBase | io.BytesIO, uri: str) -> Iterator[io.BufferedIOBase]:
    buffered = io.BufferedReader(stream, 1 << 20)
    if not is_compressed(buffered.peek(2)):
        yield buffered
        return
    try:
        with igzip.IGzipFile(fileobj=buffered) as file:  # type: ignore[no-untyped-call]
            yield file
    except EOFError:
        raise UserError(f"{uri}: the gzip data is cut short: upload the whole file again") from None
    except (gzip.BadGzipFile, zlib.error, IsalError) as error:  # type: ignore[misc]
        raise UserError(
            f"{uri}: the gzip data is damaged ({error}): upload the file again"
        ) from None
