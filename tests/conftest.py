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
from pipelines.local.spark import SparkCluster, find_spark, serve_spark
from tests import browser

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# How long an example takes says nothing on a machine that does other work.
hypothesis.settings.register_profile("all", deadline=None)
hypothesis.settings.register_profile("fast", deadline=None, max_examples=25)


_NO_BROWSER = "there is no Chromium: apt-get install chromium libatomic1"
_SLOW = "slow: make test-all runs them"


def _missing_spark() -> str:
    try:
        find_spark()
    except UserError as error:
        return str(error)
    return ""


_NO_SPARK = _missing_spark()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make test` leave out the slow tests."""
    parser.addoption("--fast", action="store_true", help="skip slow tests, and try few examples")


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples where the slow tests are left out."""
    hypothesis.settings.load_profile("fast" if config.getoption("fast") else "all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the fast tests first, and skip those that need a browser or Spark, which CI has.

    Those of pages come last, for Playwright keeps an event loop in the process.
    """
    marks = ("browser", "slow")
    items.sort(key=lambda item: [item.get_closest_marker(mark) is not None for mark in marks])
    in_ci = os.environ.get("CI")
    reasons = {
        "browser": "" if browser.is_there() or in_ci else _NO_BROWSER,
        "spark": "" if in_ci else _NO_SPARK,
        "slow": _SLOW if config.getoption("fast") else "",
    }
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the last lines which tests were skipped, and what to do about it."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = [] if reporter is None else reporter.stats.get("skipped", [])
    for reason in filter(None, (_NO_BROWSER, _NO_SPARK, _SLOW)):
        if tests := [report for report in skipped if reason in str(report.longrepr)]:
            files = ", ".join(sorted({Path(report.location[0]).name for report in tests}))
            print(f"skipped: {len(tests)} tests ({files}), {reason}")  # noqa: T201


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


@pytest.fixture(scope="session")
def spark_cluster(object_store: ObjectStore) -> Iterator[SparkCluster]:
    """One Spark cluster for the whole test run."""
    with serve_spark(object_store.environment, memory="512m") as cluster:
        yield cluster


@pytest.fixture
def spark(spark_cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch) -> SparkCluster:
    """The Spark cluster, to which the environment points."""
    for name, value in spark_cluster.environment.items():
        monkeypatch.setenv(name, value)
    return spark_cluster


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
