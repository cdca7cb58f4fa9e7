"""One connection to a server in this process: what an answer names, and when a client is let go."""

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from components.serve.protocol.connection import Connection, ConnectionContext
from components.serve.protocol.http import Request, Response, Route
from tests.serve.server import run_async

ASK = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
_SECONDS = 30


@asynccontextmanager
async def answering(
    handle: Callable[[Request], object],
) -> AsyncIterator[tuple[ConnectionContext, int]]:
    """What answers with `handle` at a port, until the block ends."""
    route, numbers = Route("GET", "/", handle), itertools.count()  # type: ignore[arg-type]
    shared = ConnectionContext(
        find_route=lambda _: route,
        count=lambda *_: None,
        log=None,
        allowed_hosts=frozenset(),
        max_body_bytes=1024,
        max_connections=10,
        receive_seconds=_SECONDS,
        idle_seconds=0.001,
        make_id=lambda: b"%d" % next(numbers),
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(shared), "127.0.0.1", 0)
    try:
        yield shared, server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_SECONDS):
        while not condition():
            await asyncio.sleep(0.002)


def test_an_answer_names_the_model_that_was_asked() -> None:
    """And not the one that has taken over when the answer is sent."""

    async def scene() -> bytes:
        asked, told = asyncio.Event(), asyncio.Event()

        async def answer() -> Response:
            asked.set()
            await told.wait()
            return Response(b"{}")

        async with answering(lambda _: answer()) as (shared, port):
            shared.common_headers = b"model-version: old\r\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ASK)
            await asked.wait()
            shared.common_headers = b"model-version: new\r\n"
            told.set()
            head = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            return head

    assert b"model-version: old\r\n" in run_async(scene())


def test_a_client_that_leaves_the_end_of_an_answer_unread_is_let_go() -> None:
    """However little that is: closing in good order would wait for it for ever."""

    async def scene() -> None:
        loop, body = asyncio.get_running_loop(), Response(b"x" * 20_000)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            async with answering(lambda _: body) as (shared, port):
                await loop.sock_connect(client, ("127.0.0.1", port))
                await until(lambda: len(shared.connections) == 1)
                [connection] = shared.connections
                while not connection._transport.get_write_buffer_size():
                    await loop.sock_sendall(client, ASK)
                    await asyncio.sleep(0.002)
                connection.close_if_slow()
                await until(lambda: not shared.connections)

    run_async(scene())


def test_a_computation_may_take_longer_than_a_connection_may_be_idle() -> None:
    async def scene() -> bytes:
        asked, told = asyncio.Event(), asyncio.Event()

        async def answer() -> Response:
            asked.set()
            await told.wait()
            return Response(b"{}")

        async with answering(lambda _: answer()) as (shared, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ASK)
            await asked.wait()
            [connection] = shared.connections
            for _ in range(3):
                await asyncio.sleep(0.01)
                connection.close_if_slow()
            told.set()
            head = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            return head

    assert run_async(scene()).startswith(b"HTTP/1.1 200")


def test_a_client_that_reads_slowly_gets_all() -> None:
    """Though that takes much longer than a connection may be idle."""

    async def scene() -> None:
        loop, body = asyncio.get_running_loop(), Response(b"x" * 20_000_000)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            client.setblocking(False)
            async with answering(lambda _: body) as (shared, port):
                shared.idle_seconds = 0.1
                await loop.sock_connect(client, ("127.0.0.1", port))
                await loop.sock_sendall(client, ASK)
                received = 0
                while received < len(body.body):
                    received += len(piece := await loop.sock_recv(client, 1 << 20))
                    assert piece, "the connection was closed"
                    if received // 500_000 > (received - len(piece)) // 500_000:
                        await asyncio.sleep(0.01)
                        for connection in shared.connections:
                            connection.close_if_slow()

    run_async(scene())


def test_a_request_that_begins_behind_another_has_to_arrive_in_time_too() -> None:
    async def scene() -> bytes:
        async with answering(lambda _: Response(b"{}")) as (shared, port):
            shared.receive_seconds = 0.001
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ASK + ASK[:20])
            await reader.readuntil(b"\r\n\r\n{}")
            await asyncio.sleep(0.01)
            [connection] = shared.connections
            connection.close_if_slow()
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            return head

    assert run_async(scene()).startswith(b"HTTP/1.1 408")


def test_a_long_request_waits_for_its_turn_though_it_comes_in_short_pieces() -> None:
    """Or many that end in the same moment would be computed before anything else."""
    answered = []

    async def scene() -> None:
        def answer(_request: Request) -> Response:
            answered.append(1)
            return Response(b"{}")

        async with answering(answer) as (shared, _):
            connection = Connection(shared)
            connection.connection_made(Transport())
            request = ASK.replace(b"host", b"a: " + b"b" * 3000 + b"\r\nhost", 1)
            for start in range(0, len(request), 100):
                await until(lambda: not connection._unparsed)
                assert not answered
                connection.data_received(request[start : start + 100])
            assert not answered
            await until(lambda: len(answered) == 1)
            connection.data_received(ASK)
            assert len(answered) == 2

    run_async(scene())


def test_a_further_connection_costs_the_same_however_many_there_are() -> None:
    """Also where none of them is idle, and many come in the same moment."""

    async def scene() -> float:
        async with answering(lambda _: Response(b"{}")) as (shared, _):
            shared.max_connections = 4000
            for _ in range(shared.max_connections):
                connection = Connection(shared)
                connection.connection_made(Transport())
                connection.data_received(ASK[:20])
            started = time.thread_time()
            for _ in range(1000):
                Connection(shared).connection_made(Transport())
            return time.thread_time() - started

    # The shortest of some, for a neighbour may slow the processor.
    assert min(run_async(scene()) for _ in range(4)) < 0.4


def test_an_answer_that_is_not_read_costs_the_same_however_many_there_are() -> None:
    async def scene() -> float:
        async with answering(lambda _: Response(b"{}")) as (shared, _):
            connections = [Connection(shared) for _ in range(4000)]
            for connection in connections:
                connection.connection_made(Transport(unread_bytes=1000))
                connection.pause_writing()
            started = time.thread_time()
            for connection in connections[:1000]:
                connection.resume_writing()
                connection.pause_writing()
            assert len(shared.connections) == len(connections)
            return time.thread_time() - started

    # The shortest of some, for a neighbour may slow the processor.
    assert min(run_async(scene()) for _ in range(4)) < 0.4


class Transport(asyncio.Transport):
    """The other end does nothing."""

    def __init__(self, unread_bytes: int = 0) -> None:
        super().__init__()
        self._unread_bytes = unread_bytes

    def get_write_buffer_size(self) -> int:
        return self._unread_bytes

    def abort(self) -> None:  # of a connection that has been stuck for long, on a slow machine
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def close(self) -> None:
        pass
