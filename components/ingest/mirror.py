"""Copies of a source in the user's own bucket, under the version of the source."""

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

from components.errors import UserError
from components.ingest.objects import SourceObject, Storage, explained, split_uri

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

# Written last, so a mirror that has this file is complete.
_LIST = "objects.json"

log = logging.getLogger(__name__)


def mirror(
    storage: Storage, objects: list[SourceObject], version: str, target: str
) -> list[SourceObject]:
    """Copy objects within S3 to `target/version/`, and return the copies.

    Args:
        storage: where the objects are.
        objects: the objects to copy.
        version: of the source.
        target: s3:// URI of the folder for mirrors.

    Raises:
        UserError: if S3 refuses, or a copy is not complete.
    """
    bucket, folder = _folder(target, version)
    copies = [_copy(storage, source, bucket, folder) for source in objects]
    with explained(target):
        storage.client.put_object(
            Bucket=bucket,
            Key=folder + _LIST,
            Body=json.dumps([asdict(copy) for copy in copies], indent=1).encode(),
        )
    log.info("copied %d objects to s3://%s/%s", len(copies), bucket, folder)
    return copies


def find_mirror(storage: Storage, version: str, target: str) -> list[SourceObject] | None:
    """The copies of a version, or None if it has no complete mirror.

    Args:
        storage: where the mirror is.
        version: of the source.
        target: s3:// URI of the folder for mirrors.

    Raises:
        UserError: if the mirror cannot be read.
    """
    bucket, folder = _folder(target, version)
    with explained(target):
        if not storage.head(bucket, folder + _LIST):
            return None
        body = storage.client.get_object(Bucket=bucket, Key=folder + _LIST)["Body"].read()
    return [SourceObject(**entry) for entry in json.loads(body)]


def _folder(target: str, version: str) -> tuple[str, str]:
    bucket, prefix = split_uri(target)
    return bucket, f"{prefix.strip('/')}/{version}/".lstrip("/")


def _copy(storage: Storage, source: SourceObject, bucket: str, folder: str) -> SourceObject:
    key = folder + source.key
    original: CopySourceTypeDef = {"Bucket": source.bucket, "Key": source.key}
    if source.version_id:
        original["VersionId"] = source.version_id
    with explained(source.uri):
        storage.client.copy(
            original,
            bucket,
            key,
            ExtraArgs={"CopySourceIfMatch": f'"{source.etag}"', **storage.payer},
        )
        copy = storage.head(bucket, key)
    if not copy or copy.bytes != source.bytes:
        raise UserError(f"s3://{bucket}/{key} is not a whole copy of {source.uri}: run again")
    return copy
