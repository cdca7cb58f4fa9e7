"""HTTP/1.1 on one connection: read requests, answer each in turn, wait for the client in limits.

The life of a connection (`_State`):

               the last request, end of input
    READING ───────────────────────────────────> FINISHING ─── all is answered ───> CLOSED
       │    ─── a refusal ─────────────────────>     │                                ^
       │                                             │ the refusal is sent            │
       │                                             v                                │
       │                                         LINGERING ─── 2 s, end of input ─────┤
       └──────────── idle too long, the client is gone, the worker ends ──────────────┘

In READING and FINISHING, requests are answered in their order. The next one waits while an answer
is computed (`_computation`), and while the client does not read what was sent (`_write_paused`).

A short request is parsed and answered straight away. A long one, and all others that came with the
first, wait for the `Rotation`, where the connections go on in turn, and no more is read meanwhile.
"""

import asyncio
import fcntl
import socket
import sys
import termios
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from itertools import islice
from time import perf_counter
from typing import cast

from components.serve.protocol.http import (
    HttpError,
    Request,
    Response,
    Route,
    encode_response,
    error_response,
)
from components.serve.protocol.request_parser import RequestParser
from components.serve.protocol.rotation import Rotation
from components.serve.protocol.write_batcher import WriteBatcher

# What is parsed at once: tens of short requests, hundreds of chunks of a body. A request that is
# longer as a whole waits for its turn, or many that end in the same moment would hold up others.
_MAX_PIECE_BYTES = 2048
_STEP_SECONDS = 0.0003
# A client that was refused may still be sending. If its connection is closed while data arrives,
# the system discards the answer (RFC 9112, section 9.6).
_LINGER_SECONDS = 2.0
# After so long without a byte, a client may lose its connection to another one.
_STUCK_SECONDS = 1.0
# Of a worker's answers; one more answer may come on top.
_MAX_UNREAD_BYTES = 32 * 1024 * 1024
# Of the requests that a worker has received in part, or not yet answered. A connection with little
# of it is never refused.
_MAX_HELD_BYTES = 96 * 1024 * 1024
_LITTLE_HELD_BYTES = 16 * 1024


@dataclass
class ConnectionContext:
    """What all connections of a worker share.

    Attributes:
        find_route: finds the route of a request, and sets the request's argument.
        count: is told of every answer: the path of its route, its status, seconds.
        log: is told the same in full, if anyone wants to know: request, response, seconds.
        allowed_hosts: names that the header `host` may have, in lower case; empty if any.
        max_body_bytes: a longer body is refused.
        max_connections: a further one takes the place of one that is not being answered, or is
            refused.
        receive_seconds: a request that takes longer to arrive is refused.
        idle_seconds: a connection without activity for longer is closed.
        make_id: makes an id for a request without one.
        common_headers: header lines of every answer; the worker keeps them up to date.
        write_batcher: writes the answers.
        rotation: serves the connections that have more to do than a turn of the event loop allows.
        held_bytes: size of what was received and is not yet answered.
        draining: whether the worker is about to end, so that every answer closes its connection.
        connections: those that are open.
        idle: those of which nothing is asked, the one that was heard from longest ago first.
        receiving: those that wait for the rest of a request, in the same order.
        write_paused: those whose clients do not read what was sent, the longest paused first, and
            how many bytes these were when last counted.
    """

    find_route: Callable[[Request], Route]
    count: Callable[[str, HTTPStatus, float], None]
    log: Callable[[Request, Response, float], None] | None
    allowed_hosts: frozenset[bytes]
    max_body_bytes: int
    max_connections: int
    receive_seconds: float
    idle_seconds: float
    make_id: Callable[[], bytes]
    common_headers: bytes = b""
    write_batcher: WriteBatcher = field(default_factory=WriteBatcher)
    rotation: Rotation = field(default_factory=Rotation)
    held_bytes: int = 0
    draining: bool = False
    connections: set["Connection"] = field(default_factory=set)
    idle: dict["Connection", None] = field(default_factory=dict)
    receiving: dict["Connection", None] = field(default_factory=dict)
    write_paused: dict["Connection", int] = field(default_factory=dict)

    def make_room(self) -> bool:
        """Close a connection, so that whoever asks next is answered; return whether there was one.

        The longest idle one, or else one whose client neither sends the rest of a request nor
        reads an answer: a client that holds all connections in this way would keep others out.
        """
        for connection in self.idle:
            connection.close()
            return True
        for connection in (*islice(self.receiving, 1), *islice(self.write_paused, 1)):
            if connection.idle_seconds > _STUCK_SECONDS:
                connection.abort()
                return True
        return False

    def limit_unread_bytes(self) -> None:
        """Close the connections that have been paused longest, until few bytes are unread."""
        if sum(self.write_paused.values()) <= _MAX_UNREAD_BYTES:  # they may have read since
            return
        self.write_paused = {each: each.unread_bytes for each in self.write_paused}
        total = sum(self.write_paused.values())
        for connection, unread_bytes in list(self.write_paused.items()):
            if total <= _MAX_UNREAD_BYTES:
                return
            total -= unread_bytes
            connection.abort()


class _State(Enum):
    READING = auto()  # requests are read and answered
    FINISHING = auto()  # nothing more is read; what was asked is answered
    LINGERING = auto()  # a refusal was sent; what still arrives is discarded
    CLOSED = auto()  # what was sent is still delivered


# A member that is read from its class takes 0.1 µs, and a request looks several times.
_READING, _FINISHING, _LINGERING, _CLOSED = _State


class Connection(asyncio.Protocol):
    """The connection of one client, as the module describes."""

    def __init__(self, context: ConnectionContext) -> None:
        self._context = context
        self._parser = RequestParser(
            self, context.allowed_hosts, context.max_body_bytes, context.make_id
        )
        self._transport: asyncio.Transport
        self._state = _READING
        self._unparsed = memoryview(b"")
        self._pending: deque[Callable[[], None]] = deque()  # requests and a refusal to answer
        self._may_answer = True  # whether the next request may be answered within this step
        self._held_bytes = 0
        self._computation: asyncio.Task[Response] | None = None
        self._write_paused = False
        self._last_active = 0.0
        self._undelivered_before = 0

    @property
    def idle_seconds(self) -> float:
        """How long nothing was received or sent."""
        return perf_counter() - self._last_active

    @property
    def unread_bytes(self) -> int:
        """Bytes that were sent and that the client has not read."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Close now, and discard what the client has not read."""
        self._end()
        self._context.write_paused.pop(self, None)
        self._transport.abort()

    def close(self) -> None:
        """Close when the client has read what was sent."""
        self._end()
        self._context.write_batcher.flush()
        self._transport.close()

    def _end(self) -> None:
        self._state = _CLOSED
        self._forget_requests()
        self._stop_waiting()

    def close_if_slow(self) -> None:
        """Close if the client takes too long to send a request, to read an answer, or to go on."""
        context = self._context
        receiving = self._parser.received and not self._waiting
        if receiving and perf_counter() - self._parser.receiving_since > context.receive_seconds:
            seconds = f"{context.receive_seconds:g} seconds"
            self._may_answer = True
            self.request_refused(HttpError(408, f"the request did not arrive within {seconds}"))
        elif self._makes_progress():
            self._last_active = perf_counter()
        elif self.idle_seconds < context.idle_seconds:
            return
        elif self._write_paused or self._transport.is_closing():  # `close` would wait for ever
            self.abort()
        else:
            self.close()

    def _makes_progress(self) -> bool:
        """Whether an answer is being computed, or the client has read since the last call."""
        before, self._undelivered_before = self._undelivered_before, self._undelivered_bytes()
        return self._computation is not None or self._undelivered_before < before

    def _undelivered_bytes(self) -> int:
        """Bytes that are still to be sent, and those that the client's system has not confirmed."""
        if not (unsent := self.unread_bytes):
            return 0
        unconfirmed = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        return unsent + int.from_bytes(unconfirmed, sys.byteorder)

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no such base class
        self._transport.set_write_buffer_limits(0)  # so that every unread byte is known of
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._last_active = perf_counter()
        context = self._context
        full = len(context.connections) >= context.max_connections
        has_room = not full or context.make_room()
        context.connections.add(self)
        if has_room:
            context.idle[self] = None
        else:
            self.request_refused(HttpError(503, "there are too many connections"))

    def connection_lost(self, _error: Exception | None) -> None:
        self._end()
        if self._computation is not None:
            self._computation.cancel()
        self._context.connections.discard(self)
        self._context.write_paused.pop(self, None)
        self._parser.close()

    def pause_writing(self) -> None:
        self._write_paused = True
        self._transport.pause_reading()
        self._stop_waiting()
        self._context.write_paused[self] = self.unread_bytes
        self._context.limit_unread_bytes()

    def resume_writing(self) -> None:
        self._write_paused = False
        self._context.write_paused.pop(self, None)
        self._go_on()

    def data_received(self, data: bytes) -> None:
        if self._state is not _READING:
            return
        self._last_active = perf_counter()
        self._stop_waiting()
        self._may_answer = not self._waiting
        if self._parser.received + len(data) > _MAX_PIECE_BYTES:
            self._unparsed = memoryview(data)
        else:
            self._parser.feed(data, self._last_active)
        if self._parser.received or self._held_bytes or self._waiting:
            self._keep(len(data))
        elif self._state is _READING:
            self._context.idle[self] = None

    def _wait_for_client(self) -> None:
        """Note that the next request, or the rest of one, has not come yet."""
        waiting = self._context.receiving if self._parser.received else self._context.idle
        waiting[self] = None

    def _stop_waiting(self) -> None:
        self._context.idle.pop(self, None)
        self._context.receiving.pop(self, None)

    def _keep(self, size: int) -> None:
        """Note that some of what was just received is not answered, and read no more meanwhile."""
        self._hold(self._held_bytes + size if self._waiting else self._parser.received)
        if self._pending or self._unparsed:
            self._transport.pause_reading()
            self._go_on()
        elif self._state is _READING and not self._blocked:
            self._wait_for_client()

    def eof_received(self) -> bool:
        """The client sends no more; what it has asked is still answered."""
        if self._state is _READING:
            self._state = _FINISHING
        self._context.write_batcher.flush()
        return self._waiting  # whether the transport stays open for answers

    # The parser calls these.

    def request_received(self, request: Request) -> None:
        if self._state is not _READING:
            return
        if not request.keep_alive:
            self._state = _FINISHING
        if self._may_answer and not self._pending:
            self._may_answer = False
            self._answer(request)
        else:
            self._pending.append(partial(self._answer, request))

    def request_refused(self, error: HttpError) -> None:
        """Refuse a request that was not read to its end; its answer is the last."""
        if self._state is not _READING:
            return
        self._state = _FINISHING
        self._answer_in_order(partial(self._send_refusal, error, self._parser.partial_request()))

    def continue_expected(self) -> None:
        if self._state is _READING:
            go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
            batcher = self._context.write_batcher
            self._answer_in_order(partial(batcher.write, self._transport, go_on))

    @property
    def _blocked(self) -> bool:
        """Whether the next answer has to wait."""
        return self._write_paused or self._computation is not None

    @property
    def _waiting(self) -> bool:
        """Whether something that was received still has to be parsed or answered."""
        return bool(self._pending or self._unparsed or self._computation or self._write_paused)

    def _answer_in_order(self, answer: Callable[[], None]) -> None:
        """Answer now if nothing was answered in this step, or after what is pending."""
        if self._may_answer and not self._pending:
            self._may_answer = False
            answer()
        else:
            self._pending.append(answer)

    def _parse_piece(self) -> None:
        piece, self._unparsed = (
            self._unparsed[:_MAX_PIECE_BYTES],
            self._unparsed[_MAX_PIECE_BYTES:],
        )
        self._parser.feed(bytes(piece), perf_counter())
        if self._state is not _READING:
            self._unparsed = memoryview(b"")

    def _hold(self, size: int) -> None:
        """Note how much was received and is not answered; refuse to hold too much."""
        context = self._context
        context.held_bytes += size - self._held_bytes
        self._held_bytes = size
        if (
            context.held_bytes > _MAX_HELD_BYTES
            and size > _LITTLE_HELD_BYTES
            and (self._state is _READING)
        ):
            self._forget_requests()
            self._may_answer = not self._blocked
            limit = f"{_MAX_HELD_BYTES >> 20} MiB"
            reason = f"requests of {limit} are not yet complete or answered: try again later"
            self.request_refused(HttpError(429, reason, b"retry-after: 1\r\n"))

    def _forget_requests(self) -> None:
        """Let go of what was received and is not answered."""
        self._pending.clear()
        self._unparsed = memoryview(b"")
        self._context.held_bytes -= self._held_bytes
        self._held_bytes = 0

    def _answer(self, request: Request) -> None:
        # They name the model that computes the answer. Another may serve before it is sent.
        headers = self._context.common_headers
        try:
            route = self._context.find_route(request)
            request.route = route.path
            answer = route.handle(request)
        except Exception as error:
            answer = error_response(error, request)
        if isinstance(answer, Response):
            self._send(request, answer, headers)
        else:
            self._computation = asyncio.get_running_loop().create_task(answer)
            self._computation.add_done_callback(partial(self._computed, request, headers))

    def _computed(self, request: Request, headers: bytes, done: asyncio.Task[Response]) -> None:
        self._computation = None
        if done.cancelled():
            return
        error = done.exception()
        response = error_response(error, request) if isinstance(error, Exception) else done.result()
        self._send(request, response, headers)
        self._go_on()

    def _go_on(self) -> None:
        """Do what waits in turn with other connections; read on, or close, if there is nothing."""
        if self._write_paused or self._state is _CLOSED:
            return
        if self._pending or self._unparsed:
            if self._computation is None:
                self._context.rotation.add(self._step)
            return
        self._transport.resume_reading()  # which also tells when the client is gone
        if self._computation is None:
            self._hold(self._parser.received)
            if self._state is _FINISHING:
                self.close()
            elif self._state is _READING:
                self._wait_for_client()

    def _step(self) -> None:
        """Answer requests or parse pieces for a moment, then go on in turn."""
        until = perf_counter() + _STEP_SECONDS
        while not self._blocked and self._state is not _CLOSED:
            if self._pending:
                self._pending.popleft()()
            elif self._unparsed:
                self._may_answer = True
                self._parse_piece()
            else:
                break
            if perf_counter() > until:
                break
        self._go_on()

    def _send(self, request: Request, response: Response, headers: bytes) -> None:
        if self._context.draining:
            request.keep_alive = False
        self._write(request, response, headers)
        if not request.keep_alive:
            self.close()

    def _send_refusal(self, error: HttpError, request: Request) -> None:
        self._state = _LINGERING
        self._write(request, error_response(error, request), self._context.common_headers)
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.close)

    def _write(self, request: Request, response: Response, headers: bytes) -> None:
        context = self._context
        context.write_batcher.write(self._transport, encode_response(request, response, headers))
        self._last_active = perf_counter()
        seconds = self._last_active - request.started
        context.count(request.route, response.status, seconds)
        if context.log is not None:
            context.log(request, response, seconds)
