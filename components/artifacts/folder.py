"""Artifact folders, written completely or not at all, with a manifest of all files."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

from components.errors import UserError

MANIFEST = "manifest.json"
MEASUREMENTS = "measurements.json"


@dataclass(frozen=True)
class FileRecord:
    """The entry of a file in a manifest: its size in bytes, and its SHA-256 in hex."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The format of an artifact, its files, and the artifacts that it was made from.

    Attributes:
        kind: the name of the format, such as `ratings` or `splits`.
        schema_version: the version of the format; readers refuse all others.
        files: the record of every other file in the folder, by its relative path.
        made_from: the digest of every input artifact, by its kind.
        details: other facts, which depend on the format, such as row counts, sources and scale.
    """

    kind: str
    schema_version: int
    files: dict[str, FileRecord]
    made_from: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The SHA-256 of the manifest in hex, which covers every byte of the listed files."""
        return hashlib.sha256(_to_json(self).encode()).hexdigest()


class ArtifactWriter:
    """A folder under construction.

    Attributes:
        path: where to write the files; they get their final path when all are complete.
        details: facts for the manifest, to be filled in while writing.
        measurements: time and memory of the run. They have a file that is not in the manifest, so
            that runs with the same result have the same digest.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.details: dict[str, Any] = {}
        self.measurements: dict[str, Any] = {}


@contextmanager
def write_artifact(
    path: Path, kind: str, schema_version: int, made_from: Mapping[str, Manifest] | None = None
) -> Iterator[ArtifactWriter]:
    """Write an artifact under a temporary name, and rename it to `path` when it is complete.

    An artifact that exists at `path` is replaced. If the body raises, nothing is left behind.

    Args:
        path: the folder of the artifact.
        kind: the name of its format.
        schema_version: the version of its format.
        made_from: the manifests of the input artifacts, by kind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name is unique even among containers with equal process ids.
    with TemporaryDirectory(prefix=f".{path.name}.partial-", dir=path.parent) as aside:
        partial = Path(aside) / path.name
        partial.mkdir()
        writer = ArtifactWriter(partial)
        yield writer
        digests = {name: manifest.digest for name, manifest in (made_from or {}).items()}
        manifest = Manifest(kind, schema_version, _records(partial), digests, writer.details)
        (partial / MANIFEST).write_text(_to_json(manifest))
        if writer.measurements:
            (partial / MEASUREMENTS).write_text(json.dumps(writer.measurements, indent=1) + "\n")
        shutil.rmtree(path, ignore_errors=True)
        partial.rename(path)


def read_measurements(path: Path) -> dict[str, Any]:
    """Read the measurements of the run that wrote an artifact; empty if there are none."""
    file = path / MEASUREMENTS
    measurements: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return measurements


def read_manifest(path: Path, kind: str, *schema_versions: int) -> Manifest:
    """Read the manifest of an artifact, and check every file against it.

    Args:
        path: the folder of the artifact.
        kind: the format that it must have.
        schema_versions: the versions of the format of which it must have one.

    Raises:
        UserError: if the folder is not an artifact of this kind and version, or any of its files
            has been changed or removed.
    """
    try:
        fields = json.loads((path / MANIFEST).read_text())
        files = {name: FileRecord(**record) for name, record in fields.pop("files").items()}
        manifest = Manifest(files=files, **fields)
    except FileNotFoundError:
        raise UserError(f"{path} is not a {kind} artifact: it has no {MANIFEST}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UserError(f"{path / MANIFEST} is damaged: run the step that wrote it again") from None
    _check_format(path, manifest, kind, schema_versions)
    _check_files(path, manifest)
    return manifest


@dataclass(frozen=True)
class RatedFolder:
    """An artifact made of the ratings of a source, whose files agree with its manifest.

    A subclass for each format sets `kind` and `schema_version`.
    """

    kind: ClassVar[str]
    schema_version: ClassVar[int]

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the folder of an artifact.

        Raises:
            UserError: if the folder is damaged, of another kind, or of another version.
        """
        return cls(path, read_manifest(path, cls.kind, cls.schema_version))

    @property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest rating of the source."""
        lowest, highest = self.manifest.details["scale"]
        return lowest, highest


def _check_format(
    path: Path, manifest: Manifest, kind: str, schema_versions: tuple[int, ...]
) -> None:
    if manifest.kind != kind:
        raise UserError(f"{path} holds a {manifest.kind} artifact where {kind} is needed")
    if manifest.schema_version not in schema_versions:
        readable = " or ".join(map(str, schema_versions))
        raise UserError(
            f"{path} has version {manifest.schema_version} of the {kind} format, this program "
            f"reads version {readable}: run both steps from the same release"
        )


def _check_files(path: Path, manifest: Manifest) -> None:
    for name, record in manifest.files.items():
        file = path / name
        if not file.is_file():
            raise UserError(f"{file} is missing: run the step that wrote {path} again")
        if file.stat().st_size != record.bytes or sha256(file) != record.sha256:
            raise UserError(
                f"{file} differs from what its manifest states, it was cut or edited: "
                f"run the step that wrote it again"
            )


def sha256(file: Path) -> str:
    """The SHA-256 of the content of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _records(folder: Path) -> dict[str, FileRecord]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        file.relative_to(folder).as_posix(): FileRecord(file.stat().st_size, sha256(file))
        for file in files
    }


def _to_json(manifest: Manifest) -> str:
    return json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n"
