"""A TCP proxy that cuts connections in the middle of an answer, or answers that S3 is busy."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

_BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"


class Proxy(ThreadingTCPServer):
    """Passes bytes on to an upstream server.

    Attributes:
        cuts_left: how many more large answers to cut. cut: how many were cut.
        after: what to do when the first large answer has begun.
        busy_every: which requests to answer with 503, such as every 20th; 0 for none.
        requests: how many requests there were, each small and without a body. busy: how many of
            them were answered with 503.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, upstream: tuple[str, int], cuts: int, after: Callable[[], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.upstream = upstream
        self.cuts_left = cuts
        self.cut = 0
        self.after: Callable[[], None] | None = after
        self.busy_every = 0
        self.requests = 0
        self.busy = 0
        self._lock = threading.Lock()

    def is_busy(self) -> bool:
        """Whether to answer the next request with 503."""
        with self._lock:
            self.requests += 1
            found = self.busy_every > 0 and self.requests % self.busy_every == 0
            self.busy += found
            return found

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Connection(BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        with socket.create_connection(self.server.upstream) as upstream:
            threading.Thread(target=self._ask, args=(upstream,), daemon=True).start()
            self._answer(upstream)

    def _ask(self, upstream: socket.socket) -> None:
        with suppress(OSError):
            while piece := self.request.recv(1 << 16):
                if self.server.is_busy():
                    self.request.sendall(_BUSY)
                else:
                    upstream.sendall(piece)

    def _answer(self, upstream: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while piece := upstream.recv(1 << 16):
                passed += len(piece)
                self.request.sendall(piece)
                if passed > 1 << 17:
                    self._large_answer_began()
                    if self.server.cuts_left > 0:
                        self.server.cuts_left -= 1
                        self.server.cut += 1
                        return

    def _large_answer_began(self) -> None:
        after, self.server.after = self.server.after, None
        if after:
            after()


@contextmanager
def cutting_proxy(
    endpoint: str, cuts: int = 0, after: Callable[[], None] = lambda: None
) -> Iterator[Proxy]:
    """A proxy before an endpoint that cuts so many answers of more than 128 kB."""
    address = urlsplit(endpoint)
    assert address.hostname
    assert address.port
    with Proxy((address.hostname, address.port), cuts, after) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        yield proxy
        proxy.shutdown()
