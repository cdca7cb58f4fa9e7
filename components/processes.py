"""Child processes that end with this process at the latest."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Any

_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 10
_UNWIND_SECONDS = 25


@contextmanager
def child_process(
    command: Sequence[str | Path],
    *,
    output: int | IO[bytes],
    environment: Mapping[str, str],
    folder: Path | None = None,
    ending: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command while the block lasts, then stop it and everything it has started.

    The command has a session of its own, so that Ctrl-C reaches this process first, which then
    stops its children in order.

    Args:
        command: the program and its arguments.
        output: takes stdout and stderr.
        environment: of the command.
        folder: the working directory; None for that of this process.
        ending: the signal that stops the command, also if this process is killed. SIGKILL is for
            commands that have nothing to save.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        start_new_session=True,
        preexec_fn=partial(_end_with_parent, ending) if sys.platform == "linux" else None,
    )
    try:
        yield process
    finally:
        _stop(process, ending)


def interrupt_on_termination() -> None:
    """Make SIGINT, SIGTERM and SIGHUP unwind the program, so that `finally` blocks run.

    An interrupt may leave a lock held, for which unwinding would wait without end. So the kernel
    ends the program after some seconds, and its children end with it.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        signal.alarm(_UNWIND_SECONDS)
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def terminate_session_on_termination() -> None:
    """Make SIGTERM end the whole session that `child_process` made, grandchildren included."""

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.killpg(0, signal.SIGTERM)

    signal.signal(signal.SIGTERM, terminate)


def _end_with_parent(ending: signal.Signals) -> None:
    # For a parent that is killed, or interrupted within Popen itself.
    libc: Any = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, ending)


def _stop(process: subprocess.Popen[bytes], ending: signal.Signals) -> None:
    try:
        _signal_session(process, ending)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:
        # Also if another interrupt ends the wait.
        if process.returncode is None:
            _signal_session(process, signal.SIGKILL)
            process.wait()


def _signal_session(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
