"""Read an object of S3 as a stream that survives broken connections."""

import hashlib
import io
import logging
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from botocore.exceptions import HTTPClientError, IncompleteReadError

from components.ingest.objects import SourceObject, Storage, explained

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

RANGE_BYTES = 8 << 20
_RANGES_AHEAD = 3
_RETRIES = 5
_FIRST_PAUSE_SECONDS = 0.5

log = logging.getLogger(__name__)


class ObjectStream(io.RawIOBase):
    """Reads one version of an object in ranges, a few of them ahead, and computes its hash.

    If a connection breaks, only its range is requested again. Every request names the ETag, so an
    object that changes meanwhile is an error, never a mixture of two versions.
    """

    def __init__(self, storage: Storage, source: SourceObject, start: int = 0) -> None:
        """Open an object at a byte, counted from 0."""
        super().__init__()
        self._digest = hashlib.sha256()
        self._pool = ThreadPoolExecutor(_RANGES_AHEAD)
        self._ranges = self._read_ahead(storage, source, start)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a buffer with the next bytes, and return their number.

        Raises:
            UserError: if the object has changed or cannot be read.
        """
        if not self._rest:
            self._rest = memoryview(next(self._ranges, b""))
            self._digest.update(self._rest)
        view = memoryview(buffer)
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes read so far, in hexadecimal digits."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Stop reading ahead."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        super().close()

    def _read_ahead(self, storage: Storage, source: SourceObject, first: int) -> Iterator[bytes]:
        waiting: deque[Future[bytes]] = deque()
        for start in range(first, source.bytes, RANGE_BYTES):
            waiting.append(self._pool.submit(_read_range, storage, source, start))
            if len(waiting) == _RANGES_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read_range(storage: Storage, source: SourceObject, start: int) -> bytes:
    with explained(source.uri):
        for attempt in range(_RETRIES):
            try:
                return _request_range(storage, source, start)
            except (HTTPClientError, IncompleteReadError) as error:
                log.warning("%s: lost the connection at byte %d: %s", source.uri, start, error)
                time.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
        return _request_range(storage, source, start)


def _request_range(storage: Storage, source: SourceObject, start: int) -> bytes:
    end = min(start + RANGE_BYTES, source.bytes) - 1
    answer = storage.client.get_object(
        Bucket=source.bucket,
        Key=source.key,
        Range=f"bytes={start}-{end}",
        IfMatch=f'"{source.etag}"',
        **source.version_arguments,
        **storage.payer,
    )
    return answer["Body"].read()
