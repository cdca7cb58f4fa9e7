"""The S3 server of a laptop: real, and gone without a trace."""

import tempfile
from pathlib import Path

import boto3
import pytest

from pipelines import object_store
from pipelines.object_store import serve_object_store


def test_a_server_stores_what_it_is_given_and_leaves_nothing_behind() -> None:
    folders = set(Path(tempfile.gettempdir()).glob("alsolike-s3-*"))
    with serve_object_store() as store:
        port = int(store.endpoint.rpartition(":")[2])
        assert object_store._socket_files(port)
        client = boto3.client(
            "s3",
            endpoint_url=store.endpoint,
            aws_access_key_id=store.access_key,
            aws_secret_access_key=store.secret_key,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="k", Body=b"kept")
        assert client.get_object(Bucket="bucket", Key="k")["Body"].read() == b"kept"
    assert not object_store._socket_files(port)
    assert set(Path(tempfile.gettempdir()).glob("alsolike-s3-*")) <= folders


def test_a_port_is_passed_over_where_another_server_left_its_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offered: list[int] = []

    def socket_files(port: int) -> list[Path]:
        offered.append(port)
        return [Path("left.sock")] if len(offered) == 1 else []

    monkeypatch.setattr(object_store, "_socket_files", socket_files)
    ports = object_store._free_ports(2)
    assert ports == offered[1:]
    assert len(ports) == 2
