"""What many tests need: an S3 server, and a client of it."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import hypothesis
import pytest

from components.errors import UserError
from pipelines.images.engine import connect
from pipelines.local.object_store import ObjectStore, serve_object_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# How long an example takes says nothing on a machine that does other work.
hypothesis.settings.register_profile("alsolike", deadline=None)
hypothesis.settings.load_profile("alsolike")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


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
