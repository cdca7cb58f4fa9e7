"""A worker: one event loop that answers on one socket until it is told to end."""

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

import uvloop

from components.serve.access_log import AccessLog, Line
from components.serve.app import description, routes
from components.serve.batching import Batcher
from components.serve.bundle import Bundle
from components.serve.connection import Connection, Exchange
from components.serve.http import Request, Response
from components.serve.metrics import Metrics
from components.serve.routing import Router
from components.serve.settings import ServeSettings
from components.serve.state import State

# Kubernetes kills a container 30 s after SIGTERM.
_LAST_ANSWERS_SECONDS = 8.0
# How many connections may wait for the event loop; beyond, a client tries again after a second.
BACKLOG = 2048
_LONGEST_LOGGED_PATH = 1024
# After a bundle could not be opened, for want of descriptors perhaps.
_RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Worker:
    """The state of one worker, and the steps of its life."""

    def __init__(
        self,
        settings: ServeSettings,
        bundle: Bundle,
        metrics: Metrics,
        listener: socket.socket,
        orders: int,
    ) -> None:
        """Make ready.

        Args:
            settings: how to answer.
            bundle: what to answer from at first.
            metrics: where to count.
            listener: a bound socket of this worker's own.
            orders: the reading end of a pipe: a line of JSON for every bundle to switch to.
        """
        self._settings = settings
        self._listener = listener
        self._orders = orders
        self._state = State(settings, bundle, metrics, Batcher(metrics), description(settings))
        self._log = AccessLog(sys.stdout.fileno()) if settings.access_log else None
        self._exchange = Exchange(
            find_route=Router(routes(settings, self._state)).find,
            observe=self._observe,
            max_body_bytes=settings.max_body_bytes,
            max_connections=settings.max_connections,
            receive_seconds=settings.receive_seconds,
            idle_seconds=settings.idle_seconds,
            request_ids=_request_ids(),
        )
        self._switching = asyncio.Lock()
        self._order: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._now = ""
        self._stopping: asyncio.Future[float] | None = None

    def run(self) -> None:
        """Answer requests until SIGTERM or SIGINT, or until the supervisor is gone."""
        gc.freeze()  # what the supervisor loaded is shared; the collector must not touch it
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._stopping = loop.create_future()
        loop.add_signal_handler(signal.SIGTERM, self._stop, self._settings.drain_seconds)
        loop.add_signal_handler(signal.SIGINT, self._stop, 0.0)
        loop.add_reader(self._orders, self._read_orders)
        self._tick()
        server = await loop.create_server(
            lambda: Connection(self._exchange), sock=self._listener, backlog=BACKLOG
        )
        grace = await self._stopping
        await self._drain(server, grace)
        if self._log:
            self._log.flush()

    def _stop(self, grace: float) -> None:
        assert self._stopping is not None
        if not self._stopping.done():
            self._stopping.set_result(grace)

    async def _drain(self, server: asyncio.Server, grace: float) -> None:
        self._state.ready = False
        self._exchange.closing = True
        await asyncio.sleep(grace)
        server.close()
        deadline = perf_counter() + _LAST_ANSWERS_SECONDS
        while self._exchange.connections and perf_counter() < deadline:
            for connection in list(self._exchange.connections):
                if connection.idle:
                    connection.close()
            await asyncio.sleep(0.02)

    def _tick(self) -> None:
        """What is done every second rather than at every request."""
        asyncio.get_running_loop().call_later(1.0, self._tick)
        self._now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._set_common_headers()
        if self._log:
            self._log.flush()
        for connection in list(self._exchange.connections):
            connection.close_if_slow()

    def _set_common_headers(self) -> None:
        date, version = formatdate(usegmt=True), self._state.bundle.version
        self._exchange.common_headers = f"date: {date}\r\nmodel-version: {version}\r\n".encode()

    def _read_orders(self) -> None:
        lines = os.read(self._orders, 1 << 16).splitlines()
        if not lines:  # the supervisor is gone
            asyncio.get_running_loop().remove_reader(self._orders)
            self._stop(0.0)
            return
        self._order = json.loads(lines[-1])
        task = asyncio.get_running_loop().create_task(self._switch(self._order))
        self._tasks.add(task)  # the loop alone would not keep it alive
        task.add_done_callback(self._tasks.discard)

    async def _switch(self, order: dict[str, str]) -> None:
        """Switch to the bundle of an order; try again until it opens or a newer order comes."""
        folder, version = Path(order["folder"]), order["version"]
        async with self._switching:  # or the slower one to open would stay, old or new
            while order is self._order:
                try:
                    bundle = await asyncio.to_thread(Bundle.reopen, folder, version)
                except Exception as error:  # of files, of memory: what serves goes on
                    logger.error("version %s cannot be opened, trying again: %s", version, error)
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                self._state.bundle = bundle
                self._set_common_headers()
                self._state.metrics.add("bundle_switches")
                return

    def _observe(self, label: str, request: Request, response: Response, seconds: float) -> None:
        self._state.metrics.observe(label, response.status, seconds)
        if self._log:
            path = f"{request.path}?{request.query}" if request.query else request.path
            self._log.write(
                Line(
                    self._now,
                    request.id.decode("latin-1"),
                    request.method,
                    path[:_LONGEST_LOGGED_PATH],
                    label,
                    response.status,
                    len(response.body),
                    int(seconds * 1e6) / 1e3,
                )
            )


def _request_ids() -> Callable[[], bytes]:
    """Ids that no other worker makes."""
    prefix, numbers = secrets.token_hex(4).encode(), itertools.count(1)
    return lambda: b"%b-%x" % (prefix, next(numbers))
