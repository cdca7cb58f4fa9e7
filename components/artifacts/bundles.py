"""The bundle store: every deployed model as an immutable version, and which one is current.

A bundle is a `model` artifact that also has `golden.json`. Its version is the start of its digest.
The store is a folder or an `s3://bucket/prefix`:

    versions/<version>/…   a bundle, which never changes
    history.json           versions that have been current, the oldest first, the current one last
    current                in a folder only: a link to the version that serves

The entry that makes a version current is written last and atomically, so a reader finds either the
old bundle or the new one.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from components.artifacts.folder import MANIFEST, read_manifest
from components.artifacts.model import DESCRIPTION, KIND, READABLE_VERSIONS
from components.artifacts.scratch import scratch_folder
from components.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

VERSIONS = "versions"
CURRENT = "current"
HISTORY = "history.json"
_PARTIAL = ".partial-"

_VERSION = re.compile("[0-9a-f]{12}")
# S3's errors for a condition that does not hold, or that a concurrent request may change.
_OVERTAKEN = ("PreconditionFailed", "ConditionalRequestConflict")


@dataclass(frozen=True)
class StoredVersion:
    """Facts about a version that need no download.

    Attributes:
        stored_at: the time when it was stored, in UTC.
        description: its `model.json`.
    """

    stored_at: datetime
    description: dict[str, Any]


class BundleStore(Protocol):
    """The versions of a model, of which one is current."""

    location: str

    def versions(self) -> list[str]:
        """All versions, in undefined order."""

    def history(self) -> list[str]:
        """Versions that have been current, the oldest first, the current one last."""

    def describe(self, version: str) -> StoredVersion:
        """Describe a version."""

    def location_of(self, version: str) -> str:
        """The path or URI of the folder of a version."""

    def add(self, bundle: Path) -> str:
        """Store a bundle, unless it is stored and complete, and return its version."""

    def fetch(self, version: str, into: Path) -> Path:
        """Verify a bundle, and return its folder on this machine, if necessary a copy in `into`.

        Raises:
            UserError: if there is no such version, or it is damaged.
        """

    def make_current(self, version: str) -> None:
        """Make a stored version the current one."""

    def remove(self, versions: Collection[str]) -> None:
        """Delete stored versions, also from the history.

        Raises:
            UserError: if one of them is the current one; nothing is deleted then.
        """


def open_store(location: str) -> BundleStore:
    """The store in a folder or at an `s3://bucket/prefix`, which need not exist yet."""
    if location.startswith("s3://"):
        return S3Store(location)
    return FolderStore(Path(location))


def open_current(location: str, into: Path) -> Path | None:
    """The folder of the current bundle, if necessary a copy in `into`; None if there is none.

    Raises:
        UserError: if the store cannot be read, or its current bundle is damaged.
    """
    store = open_store(location)
    version = current_version(store)
    return store.fetch(version, into) if version else None


def current_version(store: BundleStore) -> str | None:
    """The version that serves, or None if nothing has been deployed."""
    history = store.history()
    return history[-1] if history else None


def previous_version(store: BundleStore) -> str | None:
    """The version that served before the current one, or None."""
    history = store.history()
    return history[-2] if len(history) > 1 else None


def dispensable_versions(store: BundleStore, keep: int) -> list[str]:
    """The versions that may be removed if the last `keep` that have been current are kept.

    A version that was stored after the oldest of these is kept too, because it may be a canary or
    may be about to be deployed.
    """
    kept = store.history()[-keep:]
    if not kept:
        return []
    oldest = min(store.describe(version).stored_at for version in kept)
    others = sorted(set(store.versions()) - set(kept))
    return [version for version in others if store.describe(version).stored_at < oldest]


def version_of(bundle: Path) -> str:
    """The version of a bundle.

    Raises:
        UserError: if it is damaged.
    """
    return read_manifest(bundle, KIND, *READABLE_VERSIONS).digest[:12]


class FolderStore:
    """A store in a folder, for one machine or a shared disk."""

    def __init__(self, folder: Path) -> None:
        self.location = str(folder)
        self._folder = folder

    @property
    def current(self) -> Path:
        """The link to the version that serves."""
        return self._folder / CURRENT

    def versions(self) -> list[str]:
        """All versions, in undefined order."""
        folder = self._folder / VERSIONS
        if not folder.is_dir():
            return []
        return [path.name for path in folder.iterdir() if not path.name.startswith(".")]

    def history(self) -> list[str]:
        """Versions that have been current, the oldest first, the current one last."""
        file = self._folder / HISTORY
        past = _parse_history(file.read_bytes(), self.location) if file.exists() else []
        if not self.current.exists():
            return []
        # The link decides, because a process may have ended after it wrote only the file.
        serving = self.current.resolve().name
        return [*past[: past.index(serving)], serving] if serving in past else [*past, serving]

    def describe(self, version: str) -> StoredVersion:
        """Describe a version."""
        folder = self._folder / VERSIONS / version
        stored_at = datetime.fromtimestamp((folder / MANIFEST).stat().st_mtime, UTC)
        return StoredVersion(stored_at, json.loads((folder / DESCRIPTION).read_text()))

    def location_of(self, version: str) -> str:
        """The path of the folder of a version."""
        return str(self._folder / VERSIONS / version)

    def add(self, bundle: Path) -> str:
        """Store a bundle, unless it is stored and complete, and return its version."""
        version = version_of(bundle)
        target = self._folder / VERSIONS / version
        if _is_whole(self, version, self._folder):
            return version
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(_PARTIAL, target.parent) as partial:
            shutil.copytree(bundle, partial / version)
            # Another deployment of the same bundle may have stored it meanwhile.
            with _locked(target.parent):
                if not _is_whole(self, version, self._folder):
                    if target.exists():
                        target.rename(partial / "damaged")
                    (partial / version).rename(target)
        return version

    def fetch(self, version: str, into: Path) -> Path:  # noqa: ARG002
        """Verify a bundle, and return its folder in the store."""
        folder = self._folder / VERSIONS / version
        if not folder.is_dir():
            raise UserError(f"{self.location} has no version {version}: it has {_names(self)}")
        return _checked(folder, version, self.location)

    def make_current(self, version: str) -> None:
        """Switch the link by one rename; concurrent deployments wait for each other."""
        with _locked(self._folder), scratch_folder(_PARTIAL, self._folder) as partial:
            self.fetch(version, self._folder)
            self._replace_history(_with_last(self.history(), version), partial)
            (partial / CURRENT).symlink_to(Path(VERSIONS) / version)
            (partial / CURRENT).replace(self.current)

    def remove(self, versions: Collection[str]) -> None:
        """Delete stored versions, also from the history; each disappears by one rename."""
        with _locked(self._folder), scratch_folder(_PARTIAL, self._folder) as partial:
            self._replace_history(_without(self.history(), versions, self.location), partial)
            for version in versions:
                (self._folder / VERSIONS / version).rename(partial / version)

    def _replace_history(self, history: list[str], partial: Path) -> None:
        (partial / HISTORY).write_text(json.dumps(history) + "\n")
        (partial / HISTORY).replace(self._folder / HISTORY)


class S3Store:
    """A store in S3."""

    def __init__(self, location: str) -> None:
        self.location = location
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        self._bucket = bucket
        self._prefix = PurePosixPath(prefix)

    def versions(self) -> list[str]:
        """All versions that were stored completely, in undefined order."""
        with _explained(self.location):
            keys = [PurePosixPath(entry["Key"]) for entry in self._objects(VERSIONS)]
        folder = self._prefix / VERSIONS
        return [key.parent.name for key in keys if key == folder / key.parent.name / MANIFEST]

    def history(self) -> list[str]:
        """Versions that have been current, the oldest first, the current one last."""
        with _explained(self.location):
            return self._tagged_history()[0]

    def describe(self, version: str) -> StoredVersion:
        """Describe a version."""
        key = self._key(VERSIONS, version, DESCRIPTION)
        with _explained(self.location):
            found = self._client.get_object(Bucket=self._bucket, Key=key)
            return StoredVersion(found["LastModified"], json.loads(found["Body"].read()))

    def location_of(self, version: str) -> str:
        """The URI of the folder of a version."""
        return f"s3://{self._bucket}/{self._key(VERSIONS, version)}"

    def add(self, bundle: Path) -> str:
        """Store a bundle, its manifest last, unless it is stored and complete."""
        version = version_of(bundle)
        files = [path for path in bundle.rglob("*") if path.is_file()]
        with scratch_folder("alsolike-bundle-") as copies:
            if version in self.versions() and _is_whole(self, version, copies):
                return version
        with _explained(self.location):
            for file in sorted(files, key=lambda path: path.name == MANIFEST):
                key = self._key(VERSIONS, version, file.relative_to(bundle).as_posix())
                self._client.upload_file(str(file), self._bucket, key)
        return version

    def fetch(self, version: str, into: Path) -> Path:
        """Copy a bundle to a folder in `into`, and verify it."""
        folder = into / version
        start = f"{self._key(VERSIONS, version)}/"
        with _explained(self.location):
            for entry in self._objects(VERSIONS, version):
                name = PurePosixPath(entry["Key"].removeprefix(start))
                if name.is_absolute() or ".." in name.parts:
                    raise UserError(f"{self.location}: {entry['Key']} leads out of its version")
                file = folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                self._client.download_file(self._bucket, entry["Key"], str(file))
        if not folder.exists():
            raise UserError(f"{self.location} has no version {version}: it has {_names(self)}")
        return _checked(folder, version, self.location)

    def make_current(self, version: str) -> None:
        """Write the history, whose last entry is the current version, in one request.

        Concurrent deployments do not lose entries: if the history has changed, it is read again.
        """
        if version not in self.versions():
            raise UserError(f"{self.location} has no version {version}: it has {_names(self)}")
        self._change_history(lambda history: _with_last(history, version))

    def remove(self, versions: Collection[str]) -> None:
        """Delete stored versions, also from the history; the manifest of each is deleted first."""
        self._change_history(lambda history: _without(history, versions, self.location))
        with _explained(self.location):
            for version in versions:
                keys = [entry["Key"] for entry in self._objects(VERSIONS, version)]
                for key in sorted(keys, key=lambda key: not key.endswith(f"/{MANIFEST}")):
                    self._client.delete_object(Bucket=self._bucket, Key=key)

    def _objects(self, *folder: str) -> Iterator["ObjectTypeDef"]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._key(*folder)}/"
        )
        return (entry for page in pages for entry in page.get("Contents", []))

    def _change_history(self, change: Callable[[list[str]], list[str]]) -> None:
        with _explained(self.location):
            while True:
                history, tag = self._tagged_history()
                if self._replace_history(change(history), tag):
                    return

    def _tagged_history(self) -> tuple[list[str], str | None]:
        """The history and its ETag; None if there is no history yet."""
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._key(HISTORY))
        except self._client.exceptions.NoSuchKey:
            return [], None
        return _parse_history(found["Body"].read(), self.location), found["ETag"]

    def _replace_history(self, history: list[str], tag: str | None) -> bool:
        """Write the history unless it has changed since it was read; whether it was written."""
        from botocore.exceptions import ClientError

        condition: dict[str, Any] = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key(HISTORY),
                Body=json.dumps(history).encode(),
                **condition,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _OVERTAKEN:
                return False
            raise
        return True

    def _key(self, *parts: str) -> str:
        return str(self._prefix.joinpath(*parts))

    @cached_property
    def _client(self) -> "S3Client":
        # The server needs no boto3.
        import boto3

        return boto3.client("s3")


@contextmanager
def _explained(location: str) -> Iterator[None]:
    """Turn an error of S3 into a `UserError` of one line."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{location}: {reason}: check the bucket's name, the credentials and their rights"
        ) from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes that change it, while the block lasts."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _parse_history(content: bytes, location: str) -> list[str]:
    """The versions in the content of a history.

    Raises:
        UserError: if it is not a list of versions.
    """
    try:
        history = json.loads(content)
        if isinstance(history, list) and all(map(_VERSION.fullmatch, history)):
            return history
    except (ValueError, TypeError, RecursionError):
        pass
    raise UserError(
        f"{location}/{HISTORY} is damaged: remove it, then let a version serve by "
        f"`alsolike deployments promote`"
    )


def _checked(folder: Path, version: str, location: str) -> Path:
    """Return the folder of a version, if every byte is as it was stored.

    Raises:
        UserError: if it is damaged.
    """
    if version_of(folder) != version:
        raise UserError(f"{location}: version {version} is damaged: deploy it again")
    return folder


def _is_whole(store: BundleStore, version: str, into: Path) -> bool:
    try:
        store.fetch(version, into / "stored")
    except UserError:
        return False
    return True


def _with_last(history: list[str], version: str) -> list[str]:
    return [*(past for past in history if past != version), version]


def _without(history: list[str], versions: Collection[str], location: str) -> list[str]:
    if history and history[-1] in versions:
        raise UserError(f"{location}: {history[-1]} is current and cannot be removed")
    return [past for past in history if past not in versions]


def _names(store: BundleStore) -> str:
    return ", ".join(store.versions()) or "none"
