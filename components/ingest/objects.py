"""Find the objects of a source in S3, and the version of each."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_HEADS_AT_ONCE = 8
_REMEDIES = {
    "301": "the bucket is in another region: set AWS_DEFAULT_REGION to it",
    "403": "access is denied: check the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or "
    "the pod's role) and their permission to s3:GetObject and s3:ListBucket",
    "404": "it does not exist: check the name, and the endpoint (AWS_ENDPOINT_URL)",
    "412": "it changed while it was read: run again",
}
# A HEAD request has no error message, and other mistakes have the same status.
_EXPIRED = (
    "the credentials may have expired: renew them (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
    "AWS_SESSION_TOKEN), or else check the region (AWS_DEFAULT_REGION)"
)


@dataclass(frozen=True)
class SourceObject:
    """One version of one object.

    Attributes:
        bucket: the name of the bucket.
        key: the key of the object in it.
        etag: S3's identifier of the content, without quotes.
        version_id: empty if the bucket keeps no versions.
        bytes: the size.
    """

    bucket: str
    key: str
    etag: str
    version_id: str
    bytes: int

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def version_arguments(self) -> dict[str, Any]:
        """The arguments by which a request names this version."""
        return {"VersionId": self.version_id} if self.version_id else {}


class Storage:
    """S3, by boto3's ordinary configuration.

    Attributes:
        client: boto3's client.
        payer: the arguments by which a request agrees to pay for itself.
    """

    def __init__(self, *, anonymous: bool = False, requester_pays: bool = False) -> None:
        self._given = {"anonymous": anonymous, "requester_pays": requester_pays}
        config = Config(signature_version=UNSIGNED) if anonymous else None
        self.client: S3Client = boto3.Session().client("s3", config=config)
        self.payer: dict[str, Any] = {"RequestPayer": "requester"} if requester_pays else {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made of: a client stays in its process."""
        return partial(Storage, **self._given), ()

    def find(self, uri: str, suffixes: tuple[str, ...]) -> list[SourceObject]:
        """The object at a URI, or else all objects under it, in order of their keys.

        Args:
            uri: s3:// URI of an object, or of a prefix.
            suffixes: the possible ends of the names of objects under a prefix.

        Raises:
            UserError: if there is none, or S3 refuses.
        """
        bucket, key = split_uri(uri)
        if key and not key.endswith("/"):
            with explained(uri):
                found = self.head(bucket, key)
            if found:
                return [found]
        prefix = f"{key.rstrip('/')}/" if key else ""
        with explained(uri):
            keys = [key for key in self._keys(bucket, prefix) if key.endswith(suffixes)]
            with ThreadPoolExecutor(_HEADS_AT_ONCE) as pool:
                heads = pool.map(lambda key: self.head(bucket, key), sorted(keys))
                objects = [found for found in heads if found]
        if not objects:
            raise UserError(
                f"{uri}: there is no such object, and none under it that ends with "
                f"{' or '.join(suffixes)}: check the name"
            )
        return objects

    def head(self, bucket: str, key: str) -> SourceObject | None:
        """The current version of an object, or None if there is no such object."""
        try:
            head = self.client.head_object(Bucket=bucket, Key=key, **self.payer)
        except ClientError as error:
            if _status(error) == "404":
                return None
            raise
        version = head.get("VersionId", "")
        return SourceObject(
            bucket,
            key,
            head["ETag"].strip('"'),
            "" if version == "null" else version,
            head["ContentLength"],
        )

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, **self.payer
        )
        for page in pages:
            for entry in page.get("Contents", []):
                yield entry["Key"]


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def version_of(objects: list[SourceObject]) -> str:
    """A digest of the versions of all objects, 32 hexadecimal digits."""
    lines = [f"{found.uri} {found.etag} {found.version_id} {found.bytes}\n" for found in objects]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:32]


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn an error of boto3 into a `UserError` with its most likely cause and the remedy.

    Raises:
        UserError: in place of every error of boto3.
    """
    try:
        yield
    except ClientError as error:
        status = _status(error)
        hint = _EXPIRED if status == "400" else "try again later"
        reason = _REMEDIES.get(status, f"{error}: {hint}")
        raise UserError(f"{uri}: {reason}") from error
    except BotoCoreError as error:
        raise UserError(
            f"{uri}: {error}: check the AWS variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
            f"AWS_ENDPOINT_URL) and the network"
        ) from error


def _status(error: ClientError) -> str:
    return str(error.response["ResponseMetadata"]["HTTPStatusCode"])
