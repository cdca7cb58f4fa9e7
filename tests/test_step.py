"""How a step, and its command, tells a mistake: in one line, in the words of who made it."""

import errno
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from components.evaluate.settings import EvaluateSettings
from components.ingest.settings import IngestSettings
from components.step import describe_invalid, step


def described(settings: type[BaseModel], values: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as raised:
        settings(**values)
    return describe_invalid(raised.value)


def test_a_value_is_told_with_its_setting_and_what_is_expected() -> None:
    text = described(IngestSettings, {"source": "nowhere", "window_days": -1})
    first, second = text.split("; ")
    assert first.startswith("source='nowhere': ")
    assert second == "window_days=-1: Input should be greater than or equal to 0"


def test_settings_that_exclude_each_other_are_told_without_all_that_was_given() -> None:
    span = {"since": date(2026, 1, 2), "until": date(2026, 1, 1)}
    text = described(IngestSettings, {"source": "s3://shop/ratings", **span})
    assert text == "since is later than until: exchange them"


def test_a_part_that_lacks_something_is_told_without_what_it_has() -> None:
    text = described(EvaluateSettings, {"gate": [{"metric": "mse", "threshold": 1.0}]})
    assert text == "gate.0.comparison: Field required"


def test_a_folder_that_cannot_be_written_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(SystemExit) as ended, step("ingest"):
        (tmp_path / "runs" / "ratings").mkdir(parents=True)
    assert ended.value.code == (
        f"error: ingest: {tmp_path}/runs/ratings: Not a directory: choose another place"
    )


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT])
def test_whatever_refuses_a_file_is_one_line(number: int) -> None:
    line = f"error: train: /data/model: {os.strerror(number)}"
    with pytest.raises(SystemExit, match=line), step("train"):
        raise OSError(number, os.strerror(number), "/data/model")


def test_a_full_disk_is_one_line() -> None:
    line = "error: ingest: No space left on device: make room"
    with pytest.raises(SystemExit, match=line), step("ingest"), Path("/dev/full").open("w") as full:
        full.write("ratings")


def test_a_file_that_cannot_be_copied_is_told_with_where_it_was_to_go(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "factors").write_text("0.5")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "factors").symlink_to("/dev/full")
    line = f"error: deploy: {tmp_path}/bundle/factors cannot be written: .*No space left on device"
    with pytest.raises(SystemExit, match=line), step("deploy"):
        shutil.copytree(tmp_path / "model", tmp_path / "bundle", dirs_exist_ok=True)
    line = "error: deploy: /there: no space: make room"
    with pytest.raises(SystemExit, match=line), step("deploy"):
        raise OSError(errno.ENOSPC, "no space", "/here", None, "/there")


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "no", "/f"), PermissionError()])
def test_an_error_that_may_be_ours_keeps_its_traceback(error: OSError) -> None:
    with pytest.raises(type(error)), step("ingest"):
        raise error


def test_a_command_whose_folder_cannot_be_written_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    command = [sys.executable, "-c", "from pipelines.command.main import main; main()"]
    ended = subprocess.run(
        [*command, "run", "--source=s3://shop/ratings"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        f"error: cannot write to {tmp_path}/runs (File exists): choose another folder "
        f"by --runs or make run RUNS=…\n"
    )


def test_a_missing_option_has_its_name_of_the_command_line() -> None:
    command = [sys.executable, "-m", "components.prepare", "--ratings=here"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    last = ended.stderr.strip().splitlines()[-1]
    assert last == (
        "python -m components.prepare: error: the following arguments are required: --output"
    )


@pytest.mark.parametrize("name", ["deploy", "evaluate", "ingest", "prepare", "serve", "train"])
def test_the_help_of_a_command_says_how_to_call_it(name: str) -> None:
    command = [sys.executable, "-m", f"components.{name}", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.startswith(f"usage: python -m components.{name} ")
