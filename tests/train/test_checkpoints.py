"""A killed training goes on where it was, from a folder or from S3, to the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from components.artifacts.folder import sha256
from components.artifacts.model import DESCRIPTION, FACTORS, HISTORY
from components.errors import UserError
from components.train import checkpoints
from components.train.checkpoints import Checkpoint, Checkpoints
from tests.train.worlds import write_splits

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STATE = {"table": np.arange(6, dtype=np.float32).reshape(2, 3), "bytes": np.arange(3, dtype="u1")}
HISTORY_OF_ONE = [{"step": 1, "train_mse": 0.1 + 0.2}]


def check_round_trip(location: str) -> None:
    checkpoint = Checkpoints(location, {"seed": 0}).of("trial", "mf")
    assert checkpoint.read() == ([], None)
    checkpoint.write(HISTORY_OF_ONE, lambda: STATE)
    again = Checkpoints(location, {"seed": 0})
    history, state = again.of("trial", "mf").read()
    assert history == HISTORY_OF_ONE
    assert state is not None
    np.testing.assert_array_equal(state["table"], STATE["table"])
    assert state["bytes"].dtype == np.uint8
    assert again.of("trial", "mlp").read() == ([], None)
    assert Checkpoints(location, {"seed": 1}).of("trial", "mf").read() == ([], None)
    again.clear()
    assert Checkpoints(location, {"seed": 0}).of("trial", "mf").read() == ([], None)


def test_a_step_kept_in_a_folder_is_found_by_the_same_run_alone(tmp_path: Path) -> None:
    check_round_trip(str(tmp_path / "checkpoints"))


def test_a_step_kept_in_s3_is_found_by_the_same_run_alone(bucket: str) -> None:
    check_round_trip(f"s3://{bucket}/checkpoints")


def test_a_bucket_that_is_not_there_is_an_error_with_a_remedy(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(UserError, match=f"checkpoints=s3://{bucket}-no/x: .*name a folder or an"):
        Checkpoints(f"s3://{bucket}-no/x", {}).of("trial").write([], lambda: STATE)


def test_a_step_in_s3_is_written_where_it_belongs_not_moved_there(
    bucket: str, s3: "S3Client"
) -> None:
    """S3 moves by a copy, up to 5 GB; a bucket with versions remembers what was moved."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    kept = Checkpoints(f"s3://{bucket}/checkpoints", {}).of("trial")
    kept.write([], lambda: STATE)
    listed = s3.list_object_versions(Bucket=bucket)
    assert not listed.get("DeleteMarkers")
    files = {o["Key"] for o in listed["Versions"] if o["Size"]}
    assert files == {kept.file.removeprefix(f"{bucket}/")}


def test_a_step_in_a_folder_is_written_without_another_copy_of_it(tmp_path: Path) -> None:
    large = {"table": np.zeros(32 << 20, np.float32)}
    checkpoint = Checkpoints(str(tmp_path), {}).of("trial")
    tracemalloc.start()
    try:
        checkpoint.write([], lambda: large)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < large["table"].nbytes / 2


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_run_goes_on_when_one_that_is_the_same_has_ended(
    kind: str, tmp_path: Path, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    location = f"s3://{bucket}/checkpoints" if kind == "s3" else str(tmp_path / "checkpoints")
    ended, other = (Checkpoints(location, {}) for _ in range(2))
    checkpoint = other.of("trial")
    checkpoint.write(HISTORY_OF_ONE, lambda: STATE)
    ended.clear()
    assert checkpoint.read() == ([], None)
    checkpoint.write(HISTORY_OF_ONE, lambda: STATE)
    assert checkpoint.read()[0] == HISTORY_OF_ONE
    other.clear()
    ended.clear()
    assert caplog.messages == []


def test_a_step_that_cannot_be_kept_ends_no_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(str(tmp_path / "kept"), {})
    (folder,) = (tmp_path / "kept").iterdir()
    folder.rmdir()
    folder.touch()
    checkpoints.of("trial").write([], lambda: STATE)
    checkpoints.clear()
    assert "cannot write a step: " in caplog.messages[0]
    assert "cannot remove them: " in caplog.messages[1]


def test_a_step_that_is_cut_short_is_taken_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = Checkpoints(str(tmp_path), {}).of("trial")
    checkpoint.write(HISTORY_OF_ONE, lambda: STATE)
    whole = Path(checkpoint.file).read_bytes()
    for size in (0, 100, len(whole) - 1):
        Path(checkpoint.file).write_bytes(whole[:size])
        assert checkpoint.read() == ([], None)
    assert "damaged checkpoint: starting afresh" in caplog.text


def test_another_version_begins_afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Checkpoints(str(tmp_path), {}).of("trial").write(HISTORY_OF_ONE, lambda: STATE)
    monkeypatch.setattr(checkpoints, "VERSION", "0.0.9")
    assert Checkpoints(str(tmp_path), {}).of("trial").read() == ([], None)


def test_nothing_is_kept_or_even_made_where_no_place_is_named() -> None:
    def fail() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        raise AssertionError

    nowhere = Checkpoints("", {})
    nowhere.of("trial").write([], fail)
    assert nowhere.of("trial").read() == ([], None)
    assert Checkpoint().read() == ([], None)
    nowhere.clear()


def command(splits: Path, output: Path, kept: Path) -> list[str]:
    arguments = {"splits": splits, "output": output, "checkpoints": kept}
    settings = {"objectives": "rating", "rating-model": "bayes", "epochs": 3}
    given = [f"--{name}={value}" for name, value in (arguments | settings).items()]
    return [sys.executable, "-m", "components.train", *given]


@pytest.mark.slow
def test_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    splits, kept = write_splits(tmp_path / "splits"), tmp_path / "checkpoints"
    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"
    killed = subprocess.Popen(command(splits, interrupted, kept), stderr=subprocess.DEVNULL)
    # Some trials are over by then, and one is under way.
    while len(list(kept.glob("*/*"))) < 4:
        assert killed.poll() is None
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not interrupted.exists()
    resumed = subprocess.run(
        command(splits, interrupted, kept), stderr=subprocess.PIPE, text=True, check=True
    )
    # The folder's name is among the settings that model.json shows.
    subprocess.run(command(splits, whole, kept), stderr=subprocess.DEVNULL, check=True)
    assert "rank=0 counts" not in resumed.stderr
    for name in (FACTORS, DESCRIPTION):
        assert sha256(interrupted / name) == sha256(whole / name)
    first, second = (
        json.loads((folder / HISTORY).read_text())["rating"] for folder in (interrupted, whole)
    )
    assert first == second
    assert list(kept.iterdir()) == []
