"""Wait until something is there."""

import time
from collections.abc import Callable
from typing import TypeVar

from components.errors import UserError

Found = TypeVar("Found")


def poll(
    look: Callable[[], Found | None], explain: Callable[[], str], seconds: float, *, pause: float
) -> Found:
    """Call a function repeatedly until it returns something, and return that.

    Args:
        look: returns None to be called again; its exceptions end the wait.
        explain: returns the beginning of the error message when the time is up.
        seconds: the longest wait.
        pause: seconds between two calls.

    Raises:
        UserError: when the time is up.
    """
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise UserError(f"{explain()} within {seconds:g} s")
        time.sleep(pause)
    return found
