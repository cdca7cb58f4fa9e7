"""The browser that pages are tested in: an installed Chromium, or the one that Playwright loads.

`python -m tests.browser` ends with 0 where there is one.
"""

import ctypes
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
LAUNCH_OPTIONS = [
    *("--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
    *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses root one
]


def installed() -> str | None:
    """The path of a Chromium that the system has."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def is_there() -> bool:
    """Whether there is a Chromium, the system's or Playwright's, and what Playwright needs."""
    try:
        ctypes.CDLL("libatomic.so.1")  # its driver is a Node.js that does not bring it
    except OSError:
        return False
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "~/.cache/ms-playwright")
    return bool(installed()) or any(Path(folder).expanduser().glob("chromium*"))


def collect_complaints(page: Page) -> list[str]:
    """A list that gets what the page writes to its console, and exceptions that nobody caught."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


if __name__ == "__main__":
    sys.exit(not is_there())
