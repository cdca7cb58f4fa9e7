"""The entry point of the `alsolike` command, which ends with one line on an early interrupt."""

import os
import signal
from types import FrameType


def main() -> None:
    """Load the command, which takes some time, and run it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    from pipelines.command.main import main as run_command

    run_command()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    # Nothing has to be undone yet, and some imports swallow exceptions.
    os.write(2, b"interrupted\n")
    os._exit(130)
