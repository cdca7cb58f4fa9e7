"""Child processes that never outlive us."""

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
    """Run a command, stdout and stderr to `output`, and stop it with all it started at the end.

    It gets a session of its own: Ctrl-C reaches us first, and we stop the children in order. The
    signal `ending` stops it, also when we are killed; SIGKILL suits what has nothing to save.
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

    An interrupt may leave a lock held that unwinding then waits for. So the kernel ends what has
    not ended by itself in time, and children end with their parent.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        signal.alarm(_UNWIND_SECONDS)
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def terminate_session_on_termination() -> None:
    """Make SIGTERM end the whole session that `child_process` gave us, grandchildren included."""

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.killpg(0, signal.SIGTERM)

    signal.signal(signal.SIGTERM, terminate)


def _end_with_parent(ending: signal.Signals) -> None:
    # Covers a parent that was killed outright, or interrupted within Popen itself.
    libc: Any = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, ending)


def _stop(process: subprocess.Popen[bytes], ending: signal.Signals) -> None:
    try:
        _signal_session(process, ending)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:
        # Also when another interrupt cuts the waiting short.
        if process.returncode is None:
            _signal_session(process, signal.SIGKILL)
            process.wait()


def _signal_session(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
