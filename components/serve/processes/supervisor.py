"""The supervisor: starts the workers, replaces the dead and the hung, hands out new bundles."""

import json
import logging
import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from components.serve.handlers.routes import operations_by_route
from components.serve.metrics import Metrics
from components.serve.processes.bundle_source import BundleSource
from components.serve.processes.cores import usable_cores
from components.serve.processes.heartbeats import Heartbeats
from components.serve.processes.listeners import allow_open_files, listen
from components.serve.processes.worker import Worker
from components.serve.protocol.http import NO_ROUTE
from components.serve.settings import ServeSettings

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
# Kubernetes kills a container 30 s after SIGTERM.
_STOP_SECONDS = 29.0
_MIN_LIFE_SECONDS = 1.0
# A worker that gave no sign of life at so many checks is killed. It gives one every second.
_CHECK_SECONDS = 1.0
_MAX_MISSED_CHECKS = 6
# Beside connections: libraries, bundles, pipes, the log.
_OTHER_FILES = 256

logger = logging.getLogger(__name__)


def serve(settings: ServeSettings, folder: Path) -> None:
    """Serve the bundle at `folder` until SIGTERM or SIGINT.

    Each worker has a listening socket of its own on the same port. The supervisor keeps them open,
    so that connections that wait for a worker that died are answered by the next one.

    Raises:
        UserError: if the bundle is not valid, or the address cannot be listened on.
    """
    allow_open_files(settings.max_connections + _OTHER_FILES)
    workers = settings.workers or usable_cores()
    routes = [*(path for _, path in operations_by_route(settings)), NO_ROUTE]
    with listen(settings.host, settings.port, workers) as sockets:
        supervisor = Supervisor(settings, folder, Metrics(workers, routes), sockets)
        supervisor.start()
        port = sockets[0].getsockname()[1]
        logger.info("serving at http://%s:%d with %d worker(s)", settings.host, port, workers)
        supervisor.run()


@dataclass
class _Child:
    """A worker process.

    Attributes:
        pid: its process id.
        bundle_pipe: the writing end of the pipe that names new bundles.
        started: seconds of `time.monotonic`.
        beats: its signs of life at the last check.
        missed: the checks in a row without a new one.
    """

    pid: int
    bundle_pipe: int
    started: float
    beats: int = 0
    missed: int = 0


class Supervisor:
    """The workers of one server."""

    def __init__(
        self,
        settings: ServeSettings,
        folder: Path,
        metrics: Metrics,
        sockets: list[socket.socket],
    ) -> None:
        """Open the bundle, and get ready to start the workers.

        Args:
            settings: how to serve.
            folder: the bundle, or a link to it that may be switched.
            metrics: where the workers count.
            sockets: a listening socket for each worker.

        Raises:
            UserError: if the bundle is not valid.
        """
        self._settings = settings
        self._metrics = metrics
        self._heartbeats = Heartbeats(len(sockets))
        self._next_check = 0.0
        self._sockets = sockets
        self._children: dict[int, _Child] = {}
        self._signal_reader, self._signal_writer = os.pipe()
        self._catch_signals()  # or they are lost while the bundle opens, in a container
        self._source = BundleSource(folder)

    def _catch_signals(self) -> None:
        os.set_blocking(self._signal_writer, False)
        signal.set_wakeup_fd(self._signal_writer)
        for each in _SIGNALS:
            signal.signal(each, lambda *_: None)

    def start(self) -> None:
        """Start the workers that do not run; one that the system has no means for is left out."""
        for number in set(range(len(self._sockets))) - self._children.keys():
            try:
                self._start_worker(number)
            except OSError as error:
                logger.error("a worker cannot be started, trying again: %s", error)
                return

    def run(self) -> None:
        """Supervise until SIGTERM or SIGINT, then return when every worker has ended."""
        while True:
            signals = self._wait(
                min(self._settings.watch_seconds or _CHECK_SECONDS, _CHECK_SECONDS)
            )
            for number in (signal.SIGTERM, signal.SIGINT):
                if number in signals:
                    return self._stop(number)
            self._replace_dead()
            self._kill_hung()
            if signal.SIGHUP in signals or (self._settings.watch_seconds and self._source.due):
                self._take_new_bundle()

    def _wait(self, seconds: float) -> bytes:
        """The signals that arrive within some seconds, as soon as one does."""
        ready, _, _ = select.select([self._signal_reader], [], [], seconds)
        return os.read(self._signal_reader, 4096) if ready else b""

    def _start_worker(self, number: int) -> None:
        reader, writer = os.pipe()
        # Signals wait until the child has handlers of its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                os.close(writer)
                self._run_worker(number, reader)
        except OSError:
            os.close(writer)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            os.close(reader)
        self._children[number] = _Child(pid, writer, time.monotonic())

    def _run_worker(self, number: int, bundle_pipe: int) -> None:
        """Run a worker in this process, which is a fork, and exit."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for each in _SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for child in self._children.values():
                os.close(child.bundle_pipe)  # its end tells a worker that the supervisor is gone
            for other in set(range(len(self._sockets))) - {number}:
                self._sockets[other].close()  # or it would still listen after its worker closed it
            self._metrics.use_row(number)
            listener = self._sockets[number]
            beat = partial(self._heartbeats.beat, number)
            worker = Worker(
                self._settings, self._source.bundle, self._metrics, listener, bundle_pipe, beat
            )
            del self._source  # so that its memory is freed when the worker switches to another
            worker.run()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _replace_dead(self) -> None:
        ended = self._reap()
        for _, child, status in ended:
            logger.error("worker %d ended (%s), starting another", child.pid, _describe(status))
        now = time.monotonic()
        if any(now - child.started < _MIN_LIFE_SECONDS for _, child, _ in ended):
            time.sleep(_MIN_LIFE_SECONDS)
        self.start()

    def _kill_hung(self) -> None:
        """Kill the workers whose event loop has stood still; they are replaced as any dead one."""
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + _CHECK_SECONDS
        for number, child in self._children.items():
            beats = self._heartbeats.count(number)
            child.missed = child.missed + 1 if beats == child.beats else 0
            child.beats = beats
            if child.missed >= _MAX_MISSED_CHECKS:
                logger.error("worker %d does not respond, killing it", child.pid)
                os.kill(child.pid, signal.SIGKILL)

    def _take_new_bundle(self) -> None:
        """Check the new bundle once for all workers, and let each switch to it."""
        if not self._source.refresh():
            return
        bundle = self._source.bundle
        message = {"folder": str(bundle.folder), "version": bundle.version}
        for child in self._children.values():
            with suppress(BrokenPipeError):  # it died; the next worker starts from the new bundle
                os.write(child.bundle_pipe, json.dumps(message).encode() + b"\n")
        logger.info("version %s is valid, the workers switch to it", bundle.version)

    def _stop(self, number: int) -> None:
        """Pass the signal on, and wait for the workers as long as Kubernetes waits for us."""
        logger.info("ending: answering the requests that were received")
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
        """The workers that have ended and are now forgotten: number, process, wait status."""
        ended = []
        for number, child in list(self._children.items()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                os.close(child.bundle_pipe)
                del self._children[number]
                ended.append((number, child, status))
        return ended

    def _signal_all(self, number: int) -> None:
        for child in self._children.values():
            os.kill(child.pid, number)


def _describe(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
