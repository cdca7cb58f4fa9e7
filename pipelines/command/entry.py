"""The entry of the `alsolike` command, which ends in one line however early it is interrupted."""

import os
import signal
from types import FrameType


def main() -> None:
    """Load the command, which takes a moment, and run it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    from pipelines.command.main import main as run_command

    run_command()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    # Nothing has begun that has to be undone, and not every import lets an exception through.
    os.write(2, b"interrupted\n")
    os._exit(130)
