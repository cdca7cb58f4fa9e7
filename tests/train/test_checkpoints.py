"""A killed training goes on where it was, from a folder or from S3, to the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from components.artifacts.folder import sha256
from components.artifacts.model import DESCRIPTION, FACTORS, HISTORY
from components.errors import UserError
from components.train.checkpoints import Checkpoint, Checkpoints
from tests.train.worlds import write_splits

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


def test_nothing_is_kept_or_even_made_where_no_place_is_named() -> None:
    def fail() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        raise AssertionError

    nowhere = Checkpoints("", {})
    nowhere.of("trial").write([], fail)
    assert nowhere.of("trial").read() == ([], None)
    assert Checkpoint().read() == ([], None)
    nowhere.clear()


def command(splits: Path, output: Path, checkpoints: Path) -> list[str]:
    arguments = {"splits": splits, "output": output, "checkpoints": checkpoints}
    settings = {"objectives": "rating", "epochs": 5, "patience": 5}
    given = [f"--{name}={value}" for name, value in (arguments | settings).items()]
    return [sys.executable, "-m", "components.train", *given]


@pytest.mark.slow
def test_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    splits, checkpoints = write_splits(tmp_path / "splits"), tmp_path / "checkpoints"
    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"
    killed = subprocess.Popen(command(splits, interrupted, checkpoints), stderr=subprocess.DEVNULL)
    # Some trials are over by then, and one is under way.
    while len(list(checkpoints.glob("*/*"))) < 4:
        assert killed.poll() is None
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not interrupted.exists()
    resumed = subprocess.run(
        command(splits, interrupted, checkpoints), stderr=subprocess.PIPE, text=True, check=True
    )
    # The folder's name is among the settings that model.json shows.
    subprocess.run(command(splits, whole, checkpoints), stderr=subprocess.DEVNULL, check=True)
    assert "rank=0 counts" not in resumed.stderr
    for name in (FACTORS, DESCRIPTION):
        assert sha256(interrupted / name) == sha256(whole / name)
    first, second = (
        json.loads((folder / HISTORY).read_text())["rating"] for folder in (interrupted, whole)
    )
    assert first == second
    assert list(checkpoints.iterdir()) == []
