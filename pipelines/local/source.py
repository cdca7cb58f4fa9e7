"""The ratings of a run on this machine: generated, or copied to its S3 server."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from components.errors import UserError
from pipelines.local.object_store import ObjectStore
from pipelines.local.sample_data import write_sample

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SAMPLE_ROWS = 200_000

_OF_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
# An interrupt may leave a lock held, which other threads would wait for without end.
_ONE_THREAD = TransferConfig(use_threads=False)


def sample(folder: Path) -> Path:
    """The file of generated ratings, which is written on first use."""
    file = folder / f"sample-{SAMPLE_ROWS}.tsv.gz"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_sample(file, rows=SAMPLE_ROWS, seed=0)
    return file


def upload(source: Path, store: ObjectStore, bucket: str) -> str:
    """Copy a file, or every file of a folder, to a new bucket.

    Args:
        source: the file or the folder.
        store: the S3 server.
        bucket: the name of the bucket.

    Returns:
        The `s3://` URI of the object or of the prefix.

    Raises:
        UserError: if there is nothing to copy.
    """
    if not source.exists():
        given = re.sub(r"^(\w+:)/", r"\1//", str(source))  # Path has removed a slash of a URL
        raise UserError(f"there is no {given}: give a file, a folder, or s3://bucket/key")
    client = _client(store)
    client.create_bucket(Bucket=bucket)
    if source.is_file():
        client.upload_file(str(source), bucket, source.name, Config=_ONE_THREAD)
        return f"s3://{bucket}/{source.name}"
    files = sorted(path for path in source.rglob("*") if path.is_file())
    if not files:
        raise UserError(f"{source} is empty: give a file, or a folder that holds some")
    for file in files:
        key = f"{source.name}/{file.relative_to(source)}"
        client.upload_file(str(file), bucket, key, Config=_ONE_THREAD)
    return f"s3://{bucket}/{source.name}/"


def portable_variables() -> dict[str, str]:
    """The environment variables by which a container reaches S3 like this process.

    Credentials and region from files and profiles of this machine become variables too.
    """
    of_files = ("_PROFILE", "_FILE", "_BUNDLE")
    found = {
        name: value
        for name, value in os.environ.items()
        if name.lower() in _OF_PROXIES or (name.startswith("AWS_") and not name.endswith(of_files))
    }
    session = boto3.Session()
    if session.region_name:
        found["AWS_DEFAULT_REGION"] = session.region_name
    if credentials := session.get_credentials():
        keys = credentials.get_frozen_credentials()
        named = {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_SESSION_TOKEN": keys.token,
        }
        found |= {name: value for name, value in named.items() if value}
    return found


def _client(store: ObjectStore) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name="us-east-1",
        config=Config(proxies={}),
    )
