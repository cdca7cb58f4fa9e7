"""What many tests need: an S3 server, and a client of it."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import hypothesis
import pytest

from components.errors import UserError
from pipelines.images.engine import connect
from pipelines.local.object_store import ObjectStore, serve_object_store
from tests import browser

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# How long an example takes says nothing on a machine that does other work.
hypothesis.settings.register_profile("alsolike", deadline=None)
hypothesis.settings.load_profile("alsolike")


_NO_BROWSER = "there is no Chromium"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first, and those of pages where there is a browser, which CI must have.

    Those of pages come last, for Playwright keeps an event loop in the process.
    """
    marks = ("browser", "slow")
    items.sort(key=lambda item: [item.get_closest_marker(mark) is not None for mark in marks])
    if not (browser.is_there() or os.environ.get("CI")):
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=_NO_BROWSER))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the last line what was skipped, and what to do about it."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = [] if reporter is None else reporter.stats.get("skipped", [])
    pages = [report for report in skipped if _NO_BROWSER in str(report.longrepr)]
    if pages:
        files = ", ".join(sorted({Path(report.location[0]).name for report in pages}))
        print(  # noqa: T201
            f"skipped: {len(pages)} tests of pages ({files}), for {_NO_BROWSER}: "
            f"apt-get install chromium libatomic1"
        )


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """How Playwright starts the browser."""
    found = {"executable_path": browser.installed(), "args": browser.LAUNCH_OPTIONS}
    return browser_type_launch_args | found


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say that no Docker engine runs once, not for every test that needs one."""
    if any(item.get_closest_marker("docker") for item in session.items):
        try:
            connect()
        except UserError as error:
            pytest.exit(f"error: {error}", returncode=1)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """One real S3 server for the whole test run."""
    with serve_object_store() as store:
        yield store


@pytest.fixture
def s3(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> "S3Client":
    """A client of the S3 server, to which the environment points as well."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    return boto3.client("s3")


@pytest.fixture
def bucket(s3: "S3Client") -> str:
    """A new, empty bucket."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name
