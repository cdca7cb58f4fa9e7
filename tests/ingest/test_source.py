"""Finding a source, telling its version, and keeping a copy of it."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from components.errors import UserError
from components.ingest.objects import Storage
from components.ingest.source import open_source, resolve
from tests.ingest.sources import amazon_file, amazon_line, put, settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FILE = amazon_file(amazon_line())
OTHER = amazon_file(amazon_line(customer="11"))


def keys(uri: str, **changes: Any) -> list[str]:
    return [found.key for found in open_source(Storage(), settings(uri, **changes)).objects]


def test_a_key_means_one_object_of_any_name(s3: "S3Client", bucket: str) -> None:
    put(s3, bucket, "data/ml.inter", FILE)
    put(s3, bucket, "data/ml.inter.tsv", FILE)
    assert keys(f"s3://{bucket}/data/ml.inter") == ["data/ml.inter"]


@pytest.mark.parametrize("uri", ["s3://{}/data/", "s3://{}/data"])
def test_a_prefix_means_all_such_files_in_order(s3: "S3Client", bucket: str, uri: str) -> None:
    for name in ("b.tsv.gz", "a.tsv", "c/d.csv", "e.csv.gz", "_SUCCESS", "f.json", "sub/"):
        put(s3, bucket, f"data/{name}", FILE)
    put(s3, bucket, "data2/g.tsv", FILE)
    found = keys(uri.format(bucket), format="amazon")
    assert found == ["data/a.tsv", "data/b.tsv.gz", "data/c/d.csv", "data/e.csv.gz"]


@pytest.mark.slow
def test_a_prefix_of_many_objects_is_listed_whole(s3: "S3Client", bucket: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = [f"part-{number:04}.tsv" for number in range(1005)]
        list(pool.map(lambda name: put(s3, bucket, name, b"x"), names))
    assert len(keys(f"s3://{bucket}")) == 1005


def test_the_version_changes_with_any_object(s3: "S3Client", bucket: str) -> None:
    put(s3, bucket, "data/a.tsv", FILE)
    put(s3, bucket, "data/b.tsv", FILE)
    first = resolve(settings(f"s3://{bucket}/data/"))
    assert resolve(settings(f"s3://{bucket}/data/")) == first
    put(s3, bucket, "data/b.tsv", OTHER)
    assert resolve(settings(f"s3://{bucket}/data/")) != first


def test_the_version_changes_with_the_version_id(s3: "S3Client", bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    uri = put(s3, bucket, "a.tsv", FILE)
    first = resolve(settings(uri))
    put(s3, bucket, "a.tsv", FILE)
    assert resolve(settings(uri)) != first


def test_a_source_that_changed_since_it_was_resolved_is_refused(
    s3: "S3Client", bucket: str
) -> None:
    uri = put(s3, bucket, "a.tsv", FILE)
    version = resolve(settings(uri))
    assert keys(uri, source_version=version) == ["a.tsv"]
    put(s3, bucket, "a.tsv", OTHER)
    with pytest.raises(UserError, match=f"no longer has version {version}.*run again"):
        keys(uri, source_version=version)


def test_a_mirror_serves_when_the_source_is_gone(s3: "S3Client", bucket: str) -> None:
    uri = put(s3, bucket, "data/a.tsv", FILE)
    version = resolve(settings(uri))
    asked = {"mirror_to": f"s3://{bucket}/mine/", "source_version": version}
    copies = keys(uri, **asked)
    assert copies == [f"mine/{version}/data/a.tsv"]
    s3.delete_object(Bucket=bucket, Key="data/a.tsv")
    assert resolve(settings(uri, **asked)) == version
    assert keys(uri, **asked) == copies
    assert s3.get_object(Bucket=bucket, Key=copies[0])["Body"].read() == FILE


def test_a_mirror_that_was_cut_short_is_made_again(s3: "S3Client", bucket: str) -> None:
    uri = put(s3, bucket, "a.tsv", FILE)
    version = resolve(settings(uri))
    asked = {"mirror_to": f"s3://{bucket}/mine", "source_version": version}
    keys(uri, **asked)
    s3.delete_object(Bucket=bucket, Key=f"mine/{version}/objects.json")
    s3.delete_object(Bucket=bucket, Key=f"mine/{version}/a.tsv")
    assert keys(uri, **asked) == [f"mine/{version}/a.tsv"]


def test_a_public_bucket_is_read_without_credentials(
    s3: "S3Client", bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = put(s3, bucket, "a.tsv", FILE)
    public = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [public]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    expected = resolve(settings(uri))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert resolve(settings(uri, anonymous=True)) == expected
    with pytest.raises(UserError, match="Unable to locate credentials"):
        resolve(settings(uri))


def test_requests_agree_to_pay_when_asked_to() -> None:
    assert Storage(requester_pays=True).payer == {"RequestPayer": "requester"}
    assert not Storage().payer


def test_the_configuration_of_boto3_is_heeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text(
        "[profile shop]\nregion = eu-south-2\nendpoint_url = http://store.example:9\n"
        "s3 =\n  addressing_style = path\n"
    )
    for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "shop")
    meta = Storage().client.meta
    assert meta.endpoint_url == "http://store.example:9"
    assert meta.region_name == "eu-south-2"
    assert vars(meta.config)["s3"]["addressing_style"] == "path"


def test_a_missing_bucket_is_told(s3: "S3Client") -> None:  # noqa: ARG001
    for uri in ("s3://no-such-bucket/a.tsv", "s3://no-such-bucket/data/"):
        with pytest.raises(UserError, match=r"no-such-bucket.*does not exist: check the name"):
            resolve(settings(uri))


def test_a_missing_key_is_told(bucket: str) -> None:
    with pytest.raises(
        UserError, match=r"there is no such object, and none under it that ends with \.tsv"
    ):
        resolve(settings(f"s3://{bucket}/a.tsv"))


def test_wrong_credentials_are_told(
    s3: "S3Client", bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, bucket, "a.tsv", FILE)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for uri in (f"s3://{bucket}/a.tsv", f"s3://{bucket}/"):
        with pytest.raises(UserError, match="access is denied: check the credentials"):
            resolve(settings(uri))


class _Expired(BaseHTTPRequestHandler):
    """Answers as S3 does to a session token that has expired."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._refuse(b"")

    def do_GET(self) -> None:
        self._refuse(
            b"<Error><Code>ExpiredToken</Code>"
            b"<Message>The provided token has expired.</Message></Error>"
        )

    def _refuse(self, body: bytes) -> None:
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("key", "words"),
    [("a.tsv", r"\(400\).*HeadObject.*Bad Request"), ("data/", "The provided token has expired")],
)
def test_expired_credentials_are_told(
    key: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "key")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Expired) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(UserError, match=f"{words}.*may have expired: renew them"):
            resolve(settings(f"s3://shop/{key}"))
        server.shutdown()


def test_a_store_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "key")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UserError, match=r"check the AWS variables .*AWS_ENDPOINT_URL"):
        resolve(settings("s3://shop/a.tsv"))


def test_an_empty_object_is_told(s3: "S3Client", bucket: str) -> None:
    uri = put(s3, bucket, "a.tsv", b"")
    with pytest.raises(UserError, match=r"a\.tsv is empty: upload it again"):
        resolve(settings(uri))
