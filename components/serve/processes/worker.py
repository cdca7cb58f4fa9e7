"""A worker: one event loop that answers requests on one socket until it is told to end."""

import asyncio
import gc
import itertools
import json
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from time import perf_counter

import msgspec
import uvloop

from components.serve.handlers.openapi import document
from components.serve.handlers.routes import routes
from components.serve.handlers.state import State
from components.serve.inference.batching import TopNBatcher
from components.serve.inference.bundle import Bundle
from components.serve.metrics import Metrics
from components.serve.processes.listeners import BACKLOG, ignore_new_clients
from components.serve.protocol.access_log import AccessLog, Line
from components.serve.protocol.connection import Connection, ConnectionContext
from components.serve.protocol.http import Request, Response
from components.serve.protocol.routing import Router
from components.serve.settings import ServeSettings

# Together with `drain_seconds` less than the 30 s after which Kubernetes kills a container.
_FINISH_SECONDS = 8.0
_HANDSHAKE_SECONDS = 0.2
_UNUSED_SECONDS = 1.0
_MAX_LOGGED_PATH = 1024
# After a bundle could not be opened, for example because too many files are open.
_RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Worker:
    """Answers requests from the current bundle, and switches to new ones."""

    def __init__(
        self,
        settings: ServeSettings,
        bundle: Bundle,
        metrics: Metrics,
        listener: socket.socket,
        bundle_pipe: int,
        beat: Callable[[], None],
    ) -> None:
        """Get ready.

        Args:
            settings: how to answer.
            bundle: what to answer from at first.
            metrics: where to count.
            listener: a listening socket of this worker's own.
            bundle_pipe: the reading end of a pipe, with a line of JSON for each new bundle.
            beat: is called every second as a sign of life.
        """
        self._settings = settings
        self._listener = listener
        self._bundle_pipe = bundle_pipe
        self._beat = beat
        openapi = msgspec.json.encode(document(settings))
        self._state = State(settings, bundle, metrics, TopNBatcher(metrics), openapi)
        self._log = AccessLog(sys.stdout.fileno(), metrics) if settings.access_log else None
        self._context = ConnectionContext(
            find_route=Router(routes(self._state)).find,
            count=metrics.observe,
            log=self._write_log if self._log else None,
            allowed_hosts=settings.host_names(),
            max_body_bytes=settings.max_body_bytes,
            max_connections=settings.max_connections,
            receive_seconds=settings.receive_seconds,
            idle_seconds=settings.idle_seconds,
            make_id=_request_ids(),
        )
        self._switching = asyncio.Lock()
        self._newest: dict[str, str] = {}  # the bundle to switch to
        self._tasks: set[asyncio.Task[None]] = set()
        self._now = ""
        self._stopping: asyncio.Future[float] | None = None

    def run(self) -> None:
        """Answer requests until SIGTERM or SIGINT, or until the supervisor is gone."""
        gc.freeze()  # the collector would write to memory that the processes share
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._stopping = loop.create_future()
        loop.add_signal_handler(signal.SIGTERM, self._stop, self._settings.drain_seconds)
        loop.add_signal_handler(signal.SIGINT, self._stop, 0.0)
        loop.add_reader(self._bundle_pipe, self._read_bundle_pipe)
        self._tick()
        server = await loop.create_server(
            lambda: Connection(self._context), sock=self._listener, backlog=BACKLOG
        )
        grace = await self._stopping
        await self._drain(server, grace)
        if self._log:
            self._log.close()

    def _stop(self, grace: float) -> None:
        assert self._stopping is not None
        if not self._stopping.done():
            self._stopping.set_result(grace)

    async def _drain(self, server: asyncio.Server, grace: float) -> None:
        """End without the loss of a request.

        Args:
            server: what accepts connections.
            grace: seconds to go on accepting, while load balancers see that we are not ready.
        """
        self._state.ready = False
        self._context.draining = True
        await asyncio.sleep(grace)
        ignore_new_clients(self._listener)
        await asyncio.sleep(_HANDSHAKE_SECONDS)
        server.close()
        deadline = perf_counter() + _FINISH_SECONDS
        while self._context.connections and perf_counter() < deadline:
            for connection in list(self._context.idle):
                # A request may be on its way on a connection that was just used or opened.
                if connection.idle_seconds > _UNUSED_SECONDS:
                    connection.close()
            await asyncio.sleep(0.02)

    def _tick(self) -> None:
        """Do what is due every second."""
        asyncio.get_running_loop().call_later(1.0, self._tick)
        self._beat()
        self._now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._set_common_headers()
        if self._log:
            self._log.flush()
        for connection in list(self._context.connections):
            connection.close_if_slow()

    def _set_common_headers(self) -> None:
        date, version = formatdate(usegmt=True), self._state.bundle.version
        self._context.common_headers = f"date: {date}\r\nmodel-version: {version}\r\n".encode()

    def _read_bundle_pipe(self) -> None:
        lines = os.read(self._bundle_pipe, 1 << 16).splitlines()
        if not lines:  # the supervisor is gone
            asyncio.get_running_loop().remove_reader(self._bundle_pipe)
            self._stop(0.0)
            return
        self._newest = json.loads(lines[-1])
        task = asyncio.get_running_loop().create_task(self._switch(self._newest))
        self._tasks.add(task)  # the event loop holds weak references only
        task.add_done_callback(self._tasks.discard)

    async def _switch(self, new: dict[str, str]) -> None:
        """Switch to a bundle; try again until it opens or a newer one is named."""
        folder, version = Path(new["folder"]), new["version"]
        async with self._switching:  # so that the newest stays, whichever opens first
            while new is self._newest:
                try:
                    bundle = await asyncio.to_thread(Bundle.reopen, folder, version)
                except Exception as error:  # the current bundle serves on
                    logger.error("version %s cannot be opened, trying again: %s", version, error)
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                self._state.bundle = bundle
                self._set_common_headers()
                self._state.metrics.add("bundle_switches")
                return

    def _write_log(self, request: Request, response: Response, seconds: float) -> None:
        assert self._log is not None
        path = f"{request.path}?{request.query}" if request.query else request.path
        self._log.write(
            Line(
                self._now,
                request.id.decode("latin-1"),
                request.method,
                path[:_MAX_LOGGED_PATH],
                request.route,
                response.status,
                len(response.body),
                int(seconds * 1e6) / 1e3,
            )
        )


def _request_ids() -> Callable[[], bytes]:
    """A function that makes ids; those of two workers differ."""
    prefix, numbers = secrets.token_hex(4).encode(), itertools.count(1)
    return lambda: b"%b-%x" % (prefix, next(numbers))
