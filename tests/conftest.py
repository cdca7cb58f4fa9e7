"""What many tests need: an S3 server, and a client of it."""

import os
import uuid
from collections.abc import Iterator
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


_LATER = ("browser", "slow")
_skipped: list[pytest.Item] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first, and those of pages where there is a browser, which CI must have.

    Those of pages come last: from the first on Playwright keeps an event loop running, in which
    no test can run one of its own.
    """
    items.sort(key=lambda item: [item.get_closest_marker(m) is not None for m in _LATER])
    if not (browser.is_there() or os.environ.get("CI")):
        _skipped[:] = [item for item in items if item.get_closest_marker("browser")]
    for item in _skipped:
        item.add_marker(pytest.mark.skip(reason="there is no Chromium"))


def pytest_unconfigure() -> None:
    """Say in the last line what was skipped, and what to do about it."""
    if _skipped:
        files = ", ".join(sorted({item.path.name for item in _skipped}))
        print(  # noqa: T201
            f"skipped: {len(_skipped)} tests of pages ({files}), for there is no Chromium: "
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
