"""An artifact folder is whole, or it is not there, or it is refused."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from components.artifacts.folder import (
    MANIFEST,
    read_manifest,
    read_measurements,
    sha256,
    write_artifact,
)
from components.errors import UserError


def write(path: Path, content: str = "content", version: int = 1) -> None:
    with write_artifact(path, "ratings", version) as artifact:
        (artifact.path / "sub").mkdir()
        (artifact.path / "sub" / "file").write_text(content)
        artifact.details["rows"] = 3


def test_a_manifest_vouches_for_every_file(tmp_path: Path) -> None:
    write(tmp_path / "a")
    manifest = read_manifest(tmp_path / "a", "ratings", 1)
    assert manifest.files["sub/file"].bytes == len("content")
    assert manifest.files["sub/file"].sha256 == sha256(tmp_path / "a" / "sub" / "file")
    assert manifest.details == {"rows": 3}


def test_an_artifact_names_what_it_was_made_from(tmp_path: Path) -> None:
    write(tmp_path / "a")
    origin = read_manifest(tmp_path / "a", "ratings", 1)
    with write_artifact(tmp_path / "b", "splits", 1, {"ratings": origin}):
        pass
    assert read_manifest(tmp_path / "b", "splits", 1).made_from == {"ratings": origin.digest}


def test_the_digest_changes_with_any_byte(tmp_path: Path) -> None:
    digests = set()
    for content in ("one", "two"):
        write(tmp_path / "a", content)
        digests.add(read_manifest(tmp_path / "a", "ratings", 1).digest)
    assert len(digests) == 2


def test_the_digest_does_not_change_with_what_the_run_took(tmp_path: Path) -> None:
    digests = set()
    for seconds in (1.5, 2.5):
        with write_artifact(tmp_path / "a", "ratings", 1) as artifact:
            artifact.measurements["seconds"] = seconds
        digests.add(read_manifest(tmp_path / "a", "ratings", 1).digest)
        assert read_measurements(tmp_path / "a") == {"seconds": seconds}
    assert len(digests) == 1
    write(tmp_path / "a")
    assert read_measurements(tmp_path / "a") == {}


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "a", "old")
    with suppress(RuntimeError), write_artifact(tmp_path / "a", "ratings", 1) as artifact:
        (artifact.path / "file").write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "sub" / "file").read_text() == "old"


def test_of_two_that_are_written_at_the_same_time_neither_touches_the_other(
    tmp_path: Path,
) -> None:
    with write_artifact(tmp_path / "a", "ratings", 1) as first:
        (first.path / "file").write_text("first")
        write(tmp_path / "a", "second")
        assert read_manifest(tmp_path / "a", "ratings", 1).files.keys() == {"sub/file"}
    assert read_manifest(tmp_path / "a", "ratings", 1).files.keys() == {"file"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def cut(folder: Path) -> None:
    (folder / "sub" / "file").write_text("cont")


def edit(folder: Path) -> None:
    (folder / "sub" / "file").write_text("CONTENT")


def remove(folder: Path) -> None:
    (folder / "sub" / "file").unlink()


def lose_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def damage_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")


def come_from_a_newer_release(folder: Path) -> None:
    fields = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**fields, "schema_version": 2}))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (cut, "was cut or edited: run the step that wrote it again"),
        (edit, "was cut or edited"),
        (remove, "file is missing"),
        (lose_the_manifest, "is not a ratings artifact: it has no manifest.json"),
        (damage_the_manifest, "is damaged: run the step"),
        (come_from_a_newer_release, "has version 2 of the ratings format, this program reads"),
    ],
)
def test_harm_is_refused(harm: object, message: str, tmp_path: Path) -> None:
    write(tmp_path / "a")
    harm(tmp_path / "a")  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        read_manifest(tmp_path / "a", "ratings", 1)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a")
    with pytest.raises(UserError, match="holds a ratings artifact where model is needed"):
        read_manifest(tmp_path / "a", "model", 1)
