"""A download survives cut connections and never mixes two versions."""

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from components.errors import UserError
from components.ingest import download
from components.ingest.download import ObjectStream
from components.ingest.objects import Storage
from pipelines.local.object_store import ObjectStore
from tests.ingest.proxy import cutting_proxy
from tests.ingest.sources import put

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT = random.Random(1).randbytes(3_000_000)


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RANGE_BYTES", 1_000_000)
    monkeypatch.setattr(download, "_FIRST_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize("size", [1, 999_999, 1_000_000, 1_000_001, 3_000_000])
def test_ranges_add_up_to_the_object(s3: "S3Client", bucket: str, size: int) -> None:
    uri = put(s3, bucket, "key", CONTENT[:size])
    storage = Storage()
    (source,) = storage.find(uri, ())
    with ObjectStream(storage, source) as stream:
        assert stream.read() == CONTENT[:size]
        assert stream.sha256 == hashlib.sha256(CONTENT[:size]).hexdigest()


def test_cut_connections_cost_their_range_and_not_the_run(
    s3: "S3Client", bucket: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = put(s3, bucket, "key", CONTENT)
    with cutting_proxy(object_store.endpoint, cuts=4) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        storage = Storage()
        (source,) = storage.find(uri, ())
        with ObjectStream(storage, source) as stream:
            assert stream.read() == CONTENT
        assert proxy.cut == 4


def test_a_connection_that_is_always_cut_is_an_error(
    s3: "S3Client", bucket: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = put(s3, bucket, "key", CONTENT)
    with cutting_proxy(object_store.endpoint, cuts=1000) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        storage = Storage()
        (source,) = storage.find(uri, ())
        with (
            ObjectStream(storage, source) as stream,
            pytest.raises(UserError, match=r"check the AWS variables .* and the network"),
        ):
            stream.read()


def test_an_object_that_changes_meanwhile_is_an_error(
    s3: "S3Client", bucket: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = put(s3, bucket, "key", CONTENT * 4)

    def change() -> None:
        put(s3, bucket, "key", CONTENT[::-1] * 4)

    with cutting_proxy(object_store.endpoint, after=change) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        storage = Storage()
        (source,) = storage.find(uri, ())
        with (
            ObjectStream(storage, source) as stream,
            pytest.raises(UserError, match="it changed while it was read: run again"),
        ):
            stream.read()


def test_a_versioned_object_is_read_at_its_version(s3: "S3Client", bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    uri = put(s3, bucket, "key", b"first")
    storage = Storage()
    (source,) = storage.find(uri, ())
    put(s3, bucket, "key", b"second")
    with ObjectStream(storage, source) as stream:
        assert stream.read() == b"first"
