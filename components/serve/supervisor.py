"""The supervisor: starts the workers, keeps them alive, hands them new bundles, ends them."""

import json
import logging
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from components.errors import UserError
from components.serve.app import handlers
from components.serve.bundle import Bundle
from components.serve.cores import usable_cores
from components.serve.metrics import Metrics
from components.serve.settings import ServeSettings
from components.serve.worker import BACKLOG, Worker

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
# Kubernetes kills a container 30 s after SIGTERM.
_STOP_SECONDS = 29.0
_SHORT_LIFE_SECONDS = 1.0
_OTHER_FILES = 256

logger = logging.getLogger(__name__)


def serve(settings: ServeSettings, folder: Path) -> None:
    """Serve the bundle at `folder` until SIGTERM or SIGINT.

    Every worker has a socket of its own on the same port (SO_REUSEPORT), which the supervisor
    keeps open: connections that wait for a worker that died are answered by its successor.

    Raises:
        UserError: if the bundle is not sound, or the address cannot be listened on.
    """
    allow_files(settings.max_connections + _OTHER_FILES)
    workers = settings.workers or usable_cores()
    sockets = listen(settings.host, settings.port, workers)
    metrics = Metrics(workers, [*(path for _, path in handlers(settings)), "none"])
    supervisor = Supervisor(settings, folder, metrics, sockets)
    supervisor.start()
    port = sockets[0].getsockname()[1]
    logger.info("serving at http://%s:%d with %d worker(s)", settings.host, port, workers)
    supervisor.run()


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Sockets that listen on the same address and share its connections.

    Raises:
        UserError: if the address is taken, or not of this machine.
    """
    sockets: list[socket.socket] = []
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:  # refuses a port that another server shares, too
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            address = (address[0], probe.getsockname()[1], *address[2:])
        for _ in range(count):
            sockets.append(listener := socket.socket(family))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return sockets


def allow_files(count: int) -> None:
    """Let this process and its children open so many files, or as many as the system lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        count = min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


@dataclass
class _Child:
    pid: int
    orders: int
    started: float


class Supervisor:
    """The workers of one server."""

    def __init__(
        self,
        settings: ServeSettings,
        folder: Path,
        metrics: Metrics,
        sockets: list[socket.socket],
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._metrics = metrics
        self._sockets = sockets
        self._children: dict[int, _Child] = {}
        self._wake_reader, self._wake_writer = os.pipe()
        self._catch_signals()  # a container's first process would not see them while it opens
        self._tried = self._stamp()
        self._bundle = Bundle.open(folder)

    def _catch_signals(self) -> None:
        os.set_blocking(self._wake_writer, False)
        signal.set_wakeup_fd(self._wake_writer)
        for each in _SIGNALS:
            signal.signal(each, lambda *_: None)

    def start(self) -> None:
        """Start the workers."""
        for number in range(len(self._sockets)):
            self._start_worker(number)

    def run(self) -> None:
        """Supervise until SIGTERM or SIGINT, then return when every worker has ended."""
        while True:
            signals = self._wait(self._settings.watch_seconds or None)
            for number in (signal.SIGTERM, signal.SIGINT):
                if number in signals:
                    return self._stop(number)
            if signal.SIGCHLD in signals:
                self._restart_dead()
            if signal.SIGHUP in signals or self._stamp() != self._tried:
                self._take_new_bundle()

    def _wait(self, seconds: float | None) -> bytes:
        """The signals that arrive, as soon as one does, or none after some seconds."""
        ready, _, _ = select.select([self._wake_reader], [], [], seconds)
        return os.read(self._wake_reader, 4096) if ready else b""

    def _start_worker(self, number: int) -> None:
        reader, writer = os.pipe()
        # One sent to the child at once must wait until the child no longer handles it as we do.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            self._be_worker(number, reader)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.close(reader)
        self._children[number] = _Child(pid, writer, time.monotonic())

    def _be_worker(self, number: int, orders: int) -> None:
        """Become a worker, and never return."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for each in _SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for child in self._children.values():
                os.close(child.orders)  # or the siblings would not see the supervisor's end
            for other in set(range(len(self._sockets))) - {number}:
                self._sockets[other].close()  # or it would listen when the sibling has ended
            self._metrics.count_as(number)
            listener = self._sockets[number]
            worker = Worker(self._settings, self._bundle, self._metrics, listener, orders)
            del self._bundle  # or the worker could not let go of it when another takes over
            worker.run()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _restart_dead(self) -> None:
        ended = self._reap()
        for _, child, status in ended:
            logger.error("worker %d ended (%s), starting another", child.pid, _describe(status))
        now = time.monotonic()
        if any(now - child.started < _SHORT_LIFE_SECONDS for _, child, _ in ended):
            time.sleep(_SHORT_LIFE_SECONDS)
        for number, _, _ in ended:
            self._start_worker(number)

    def _stamp(self) -> object:
        """Changes when another bundle stands at the folder; None while none does."""
        try:
            folder = self._folder.resolve(strict=True)
            manifest = (folder / "manifest.json").stat()
        except (OSError, RuntimeError):  # Python 3.11 raises the latter at a loop of links
            return None
        return folder, manifest.st_ino, manifest.st_mtime_ns

    def _take_new_bundle(self) -> None:
        """Check the new bundle once for all workers, and let each switch to it."""
        self._tried = self._stamp()
        if self._tried is None:
            return
        try:
            self._bundle = Bundle.open(self._folder)
        except UserError as error:
            logger.error("refused: %s; version %s stays", error, self._bundle.version)
            return
        except Exception:  # a bundle of any other kind must not end what serves
            logger.exception("refused; version %s stays", self._bundle.version)
            return
        order = {"folder": str(self._bundle.folder), "version": self._bundle.version}
        for child in self._children.values():
            with suppress(BrokenPipeError):  # its successor starts from the new bundle
                os.write(child.orders, json.dumps(order).encode() + b"\n")
        logger.info("version %s is sound, the workers switch to it", self._bundle.version)

    def _stop(self, number: int) -> None:
        """Pass the signal on, and wait for the workers as long as Kubernetes waits for us."""
        logger.info("ending: answering what has been asked")
        for listener in self._sockets:
            listener.close()
        self._signal_all(number)
        deadline = time.monotonic() + _STOP_SECONDS
        while self._children:
            self._reap()
            if time.monotonic() > deadline:
                self._signal_all(signal.SIGKILL)
            time.sleep(0.01)

    def _reap(self) -> list[tuple[int, _Child, int]]:
        """The workers that have ended, which are ours no more: number, worker, wait status."""
        ended = []
        for number, child in list(self._children.items()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                os.close(child.orders)
                del self._children[number]
                ended.append((number, child, status))
        return ended

    def _signal_all(self, number: int) -> None:
        for child in self._children.values():
            os.kill(child.pid, number)


def _describe(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
