"""The S3 server of a laptop: real, and gone without a trace."""

import socket
import tempfile
from pathlib import Path

import boto3
import pytest

from components.errors import UserError
from pipelines.local import object_store
from pipelines.local.object_store import direct_loopback, serve_object_store
from pipelines.local.source import upload


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


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "ratings.csv").write_text("kept")
    with serve_object_store() as store:
        assert upload(tmp_path / "ratings.csv", store, "ratings") == "s3://ratings/ratings.csv"
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        # A session of its own: the usual one keeps the keys of the first store it came to.
        s3 = boto3.Session().client("s3")
        found = s3.get_object(Bucket="ratings", Key="ratings.csv")
        assert found["Body"].read() == b"kept"


@pytest.mark.parametrize(
    ("surroundings", "expected"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "example.com"}, "example.com,127.0.0.1,localhost"),
        ({"NO_PROXY": "ignored", "no_proxy": ".example.com"}, ".example.com,127.0.0.1,localhost"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_other_exceptions_from_the_proxy_stay(surroundings: dict[str, str], expected: str) -> None:
    assert direct_loopback(surroundings) == {"NO_PROXY": expected, "no_proxy": expected}


def test_a_server_that_does_not_start_is_one_line_with_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        free = object_store._free_ports(4)
        monkeypatch.setattr(object_store, "_free_ports", lambda _: [*free, port])
        with (
            pytest.raises(UserError, match=f"S3 server of this run ended: .*{port}.*: run") as told,
            serve_object_store(),
        ):
            pass
    assert "\n" not in str(told.value)
