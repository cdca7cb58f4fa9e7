"""A temporary folder goes with its process, or with the next one that needs such a folder."""

import os
import subprocess
import sys
from pathlib import Path

from components.artifacts.scratch import scratch_folder

HOLD = """
import sys, time
from pathlib import Path
from components.artifacts.scratch import scratch_folder
with scratch_folder("mine-", Path(sys.argv[1])) as folder:
    (folder / "file").write_text("content")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_it_is_removed_at_the_end(tmp_path: Path) -> None:
    with scratch_folder("mine-", tmp_path) as folder:
        (folder / "file").write_text("content")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_nothing_that_is_in_use(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with scratch_folder("mine-", tmp_path):
            assert (left / "file").exists()  # its process lives
        process.kill()
    other = tmp_path / "other"
    other.mkdir()
    with scratch_folder("mine-", tmp_path) as folder:
        assert set(tmp_path.iterdir()) == {folder, other}


def test_a_folder_of_a_program_that_locks_none_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "mine-of-another-program"
    foreign.mkdir()
    os.utime(foreign, (0, 0))
    with scratch_folder("mine-", tmp_path):
        assert foreign.exists()
