"""HTTP/1.1 on one connection: parse requests, answer each in turn, be patient within limits."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import cast

import httptools

from components.serve.http import HttpError, Request, Response, Route, message, response_to

_MAX_HEAD_BYTES = 64 * 1024
# A body in chunks of one byte takes six for each; whatever else is sent after a head is waste.
_MOST_SENT_FOR_A_BYTE = 8
_MOST_PIPELINED = 32
# After a refusal the client may still be sending; closing at once could destroy the answer.
_LINGER_SECONDS = 2.0
_MAX_REQUEST_ID = 128
# So many answers, or so many bytes of them, wait to be sent in a row.
_MOST_WAITING = 32
_MOST_WAITING_BYTES = 256 * 1024
# Bytes of a worker's answers that its clients have not read; one answer may come on top.
_MOST_UNREAD_BYTES = 32 * 1024 * 1024


class Outbox:
    """Answers on their way out: those of one turn of the event loop are sent in a row.

    To wake a sleeping client costs more than all else about sending. In a row, the first answer
    wakes it and the next ones find it awake.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self._bytes = 0

    def send(self, transport: asyncio.Transport, data: bytes) -> None:
        """Send at the end of this turn, or earlier where many wait."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append((transport, data))
        self._bytes += len(data)
        if len(self._waiting) >= _MOST_WAITING or self._bytes >= _MOST_WAITING_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send now, in the order of `send`."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)


@dataclass
class Exchange:
    """What every connection of a worker shares.

    Attributes:
        find_route: finds the route of a request and sets the request's argument.
        observe: is told of every answer: route's path, request, response, seconds.
        max_body_bytes: a longer body is refused.
        max_connections: further ones are refused.
        receive_seconds: a request that takes longer to arrive is refused.
        idle_seconds: a connection on which nothing happens for longer is closed.
        request_ids: makes ids for the requests that bring none.
        common_headers: lines that go with every answer, kept up to date by the worker.
        outbox: sends what is answered.
        closing: whether the worker is draining, so that answers close their connections.
        connections: those that are open.
        unread: those whose clients do not read as fast as we write, the longest paused first.
    """

    find_route: Callable[[Request], Route]
    observe: Callable[[str, Request, Response, float], None]
    max_body_bytes: int
    max_connections: int
    receive_seconds: float
    idle_seconds: float
    request_ids: Callable[[], bytes]
    common_headers: bytes = b""
    outbox: Outbox = field(default_factory=Outbox)
    closing: bool = False
    connections: set["Connection"] = field(default_factory=set)
    unread: dict["Connection", None] = field(default_factory=dict)

    def bound_unread(self) -> None:
        """Cut off the clients that have not read for longest, until the rest is little enough."""
        total = sum(connection.unread_bytes for connection in self.unread)
        for connection in list(self.unread):
            if total <= _MOST_UNREAD_BYTES:
                return
            total -= connection.unread_bytes
            connection.abort()


class Connection(asyncio.Protocol):
    """One client's connection; pipelined requests are answered in order."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._waiting: deque[Callable[[], None]] = deque()
        self._busy = False
        self._last = False  # whether nothing is read after what was read so far
        self._choked = False
        self._heard_all = False
        self._last_active = 0.0
        self._common_headers = b""
        self._begin()

    @property
    def idle(self) -> bool:
        """Whether no request is being received or answered."""
        return not (self._busy or self._waiting or self._url or self._received)

    @property
    def unread_bytes(self) -> int:
        """Bytes that were answered and that the client has not taken."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Close now; what was not sent is dropped."""
        self._exchange.unread.pop(self, None)
        self._transport.abort()

    def close(self) -> None:
        """Close now; what was answered is still sent."""
        self._exchange.outbox.flush()
        self._transport.close()

    def close_if_slow(self) -> None:
        """Close if the client takes too long to send a request, to read an answer, or to go on."""
        now, exchange = perf_counter(), self._exchange
        receiving = self._received and not self._busy and not self._choked
        if receiving and now - self._since > exchange.receive_seconds:
            seconds = f"{exchange.receive_seconds:g} seconds"
            self._refuse(408, f"the request did not arrive within {seconds}")
        elif now - self._last_active < exchange.idle_seconds:
            return
        elif self._choked or self._transport.is_closing():  # what is left to send is not read
            self._transport.abort()
        else:
            self.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no such base class
        self._last_active = perf_counter()
        self._exchange.connections.add(self)
        if len(self._exchange.connections) > self._exchange.max_connections:
            self._refuse(503, "there are too many connections")

    def connection_lost(self, _error: Exception | None) -> None:
        self._exchange.connections.discard(self)
        self._exchange.unread.pop(self, None)
        self._waiting.clear()

    def pause_writing(self) -> None:
        self._choked = True
        self._transport.pause_reading()
        self._exchange.unread[self] = None
        self._exchange.bound_unread()

    def resume_writing(self) -> None:
        self._choked = False
        self._exchange.unread.pop(self, None)
        self._go_on()

    def data_received(self, data: bytes) -> None:
        if self._last:
            return
        if len(data) > _MAX_HEAD_BYTES:
            for start in range(0, len(data), _MAX_HEAD_BYTES):
                self.data_received(data[start : start + _MAX_HEAD_BYTES])
            return
        self._last_active = perf_counter()
        if not self._received:
            self._since = self._last_active
        self._received += len(data)
        while data and not self._last:
            data = self._parse(data)
        self._check_waste()

    def eof_received(self) -> bool:
        """The client sends no more; what it has asked is still answered."""
        self._last = self._heard_all = True
        self._exchange.outbox.flush()
        return self._busy or self._choked  # whether to leave our half of the connection open

    def _parse(self, data: bytes) -> bytes:
        """Parse what was received; what is left to parse after an offer of another protocol."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "this is not HTTP/1.1")
        return b""

    def _decline(self, rest: bytes) -> bytes:
        """Go on in HTTP/1.1 where a client offers another protocol, which the parser cannot.

        It took the head for the whole request, so a new one gets what matters of the head again.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refuse(501, "this is no proxy")
            return b""
        request_id = b"x-request-id: %b\r\n" % self._request_id if self._request_id else b""
        head = b"%b %b HTTP/1.1\r\n%b%b\r\n" % (method, self._url, request_id, self._framing)
        self._parser = httptools.HttpRequestParser(self)
        self._begin()
        self._received = len(head) + len(rest)
        return head + rest

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"x-request-id":
            self._request_id = value[:_MAX_REQUEST_ID]
        elif name in (b"content-length", b"transfer-encoding"):
            self._framing = b"%b: %b\r\n" % (name, value)
            if name == b"content-length":
                self._check_length(int(value))
        elif name == b"expect":
            self._expects = value.lower() == b"100-continue"
        elif name == b"connection" and self._parser.get_http_version() == "1.0":
            self._old = True  # would wait for a `connection: keep-alive` before it goes on

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._expects and not self._last and not self._busy:
            self._exchange.outbox.send(self._transport, b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._body_bytes += len(body)
        self._check_length(self._body_bytes)

    def on_message_complete(self) -> None:
        parser = self._parser
        if self._last:
            return
        keep = parser.should_keep_alive() and not self._old
        if parser.should_upgrade():
            if not keep:
                self._framing += b"connection: close\r\n"  # for the head that `_decline` makes
            return
        path, _, query = self._url.partition(b"?")
        request = Request(
            parser.get_method().decode(),
            path.decode("latin-1"),
            query.decode("latin-1"),
            b"".join(self._pieces),
            self._request_id or self._exchange.request_ids(),
        )
        self._begin()
        self._last = not keep
        if self._busy or self._choked:
            self._wait(partial(self._answer, request, keep))
        else:
            self._answer(request, keep)

    def _begin(self) -> None:
        self._url = b""
        self._pieces: list[bytes] = []
        self._body_bytes = 0
        self._request_id = b""
        self._framing = b""
        self._expects = False
        self._old = False
        self._received = 0
        self._in_head = True

    def _check_waste(self) -> None:
        """Refuse what the parser keeps, or searches, though it is no body: headers, trailers."""
        if self._in_head and self._received >= _MAX_HEAD_BYTES:
            self._refuse(431, f"the request's head is longer than {_MAX_HEAD_BYTES} bytes")
        most = _MAX_HEAD_BYTES + _MOST_SENT_FOR_A_BYTE * self._exchange.max_body_bytes
        if self._received > most:
            self._refuse(413, f"the request is longer than {most} bytes")

    def _check_length(self, length: int) -> None:
        if length > self._exchange.max_body_bytes:
            limit = self._exchange.max_body_bytes
            self._refuse(413, f"the request's body is longer than {limit} bytes")

    def _answer(self, request: Request, keep: bool) -> None:
        label = "none"
        # They name the model that answers, though another may take over before the answer is sent.
        self._common_headers = self._exchange.common_headers
        try:
            route = self._exchange.find_route(request)
            label = route.path
            answer = route.handle(request)
        except Exception as error:
            answer = response_to(error, request)
        if isinstance(answer, Response):
            self._respond(label, request, answer, keep)
        else:
            self._busy = True
            task = asyncio.get_running_loop().create_task(answer)
            task.add_done_callback(lambda done: self._finish(label, request, done, keep))

    def _finish(
        self, label: str, request: Request, done: asyncio.Future[Response], keep: bool
    ) -> None:
        self._busy = False
        error = done.exception()
        response = response_to(error, request) if isinstance(error, Exception) else done.result()
        self._respond(label, request, response, keep)
        self._go_on()

    def _go_on(self) -> None:
        """Answer what waits; when nothing does, read on, or close if all was read."""
        while self._waiting and not self._busy and not self._choked:
            self._waiting.popleft()()
        if self._busy or self._choked:
            return
        if self._heard_all:
            self.close()
        else:
            self._transport.resume_reading()

    def _wait(self, turn: Callable[[], None]) -> None:
        """Answer after what was asked before; where much was, read no more until then."""
        self._waiting.append(turn)
        if len(self._waiting) >= _MOST_PIPELINED:
            self._transport.pause_reading()

    def _respond(self, label: str, request: Request, response: Response, keep: bool) -> None:
        exchange = self._exchange
        keep = keep and not exchange.closing
        data = message(request, response, self._common_headers, keep)
        exchange.outbox.send(self._transport, data)
        exchange.observe(label, request, response, perf_counter() - request.started)
        if not keep:
            self._waiting.clear()
            self.close()

    def _refuse(self, status: int, reason: str) -> None:
        """Answer a request that was not read to its end, and close."""
        if self._last:
            return
        self._last = True
        request_id = self._request_id or self._exchange.request_ids()
        request = Request("-", self._url.decode("latin-1"), "", b"", request_id)
        response = response_to(HttpError(status, reason), request)
        if self._busy or self._choked:
            self._wait(partial(self._send_refusal, request, response))
        else:
            self._send_refusal(request, response)

    def _send_refusal(self, request: Request, response: Response) -> None:
        exchange = self._exchange
        data = message(request, response, exchange.common_headers, keep=False)
        exchange.outbox.send(self._transport, data)
        exchange.observe("none", request, response, 0.0)
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._transport.close)
