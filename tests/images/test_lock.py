"""The lock: written whole, kept to the current version, obeyed by `alsolike compile`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components import images
from pipelines.command import main as cli
from pipelines.definition import environment
from pipelines.definition.package import read_package
from pipelines.images.pushing import write_lock
from tests.pipelines.policies import images_have_digests

OLD, NEW = (f"sha256:{letter * 64}" for letter in "ab")


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lock = tmp_path / "images.lock"
    for module in (environment, cli):
        monkeypatch.setattr(module, "LOCK", lock)
    return lock


def compiled(tmp_path: Path, *options: str) -> tuple[str, Path]:
    """What `alsolike compile` fails with, and what it wrote."""
    output = tmp_path / "pipeline.yaml"
    run = CliRunner().invoke(cli.app, ["compile", f"--output={output}", *options])
    return str(run.exception or ""), output


def test_a_push_keeps_the_other_images_and_drops_those_of_other_versions(lock: Path) -> None:
    write_lock(lock, {"alsolike/data:0.0.1": OLD, images.DATA: OLD, images.SERVE: OLD})
    write_lock(lock, {images.DATA: NEW})
    assert json.loads(lock.read_text()) == {images.DATA: NEW, images.SERVE: OLD}
    assert list(lock.parent.iterdir()) == [lock]


def test_a_tag_is_refused_once_images_are_locked(lock: Path, tmp_path: Path) -> None:
    assert compiled(tmp_path)[0] == ""
    (tmp_path / "pipeline.yaml").unlink()
    write_lock(lock, dict.fromkeys(images.ALL, NEW))
    error, output = compiled(tmp_path)
    assert "images.lock locks the images" in error
    assert not output.exists()


def test_a_run_here_may_go_by_tag_all_the_same(lock: Path, tmp_path: Path) -> None:
    write_lock(lock, dict.fromkeys(images.ALL, NEW))
    error, output = compiled(tmp_path, "--local")
    assert error == ""
    assert images.DATA in output.read_text()


def test_a_cluster_is_compiled_for_by_digest(lock: Path, tmp_path: Path) -> None:
    write_lock(lock, dict.fromkeys(images.ALL, NEW))
    error, output = compiled(tmp_path, "--environment=prod")
    assert error == ""
    assert list(images_have_digests(read_package(output))) == []


def test_an_image_that_was_not_pushed_is_refused(lock: Path, tmp_path: Path) -> None:
    write_lock(lock, {image: NEW for image in images.ALL if image != images.SERVE})
    error, output = compiled(tmp_path, "--environment=prod")
    assert f"{images.SERVE} is not: push it" in error
    assert not output.exists()
