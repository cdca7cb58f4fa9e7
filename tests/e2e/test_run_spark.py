"""The whole pipeline with its ratings on a Spark cluster, which ends with the run."""

import signal
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from components.artifacts.folder import read_manifest
from tests.e2e.runs import QUICK, STEPS, interrupt, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("spark_installed"),
]


def left_behind() -> list[str]:
    """Processes of Spark and their folders."""
    found = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    folders = Path(tempfile.gettempdir()).glob("alsolike-spark-*")
    return [words for words in found if "/pyspark/jars" in words] + [*map(str, folders)]


def test_a_run_on_spark_ends_as_one_without_and_leaves_nothing(
    ratings: Path, tmp_path: Path
) -> None:
    before = left_behind()
    ended = run(tmp_path, str(ratings), QUICK, "--engine", "spark", seconds=800)
    assert ended.code == 0, ended.errors
    states = {name: step["state"] for name, step in ended.summary["steps"].items()}
    assert states == dict.fromkeys(STEPS, "SUCCEEDED")
    [splits] = (tmp_path / "runs" / "latest").rglob("prepare/splits")
    assert read_manifest(splits, "splits", 2).details["settings"]["engine"] == "spark"
    assert (splits / "train.parquet").is_dir()
    assert left_behind() == before


@pytest.mark.parametrize("until", ["", "ingest"])
def test_an_interrupt_leaves_no_spark(ratings: Path, tmp_path: Path, until: str) -> None:
    before = left_behind()
    interrupt(tmp_path, ratings, signal.SIGTERM, until, "--engine", "spark")
    deadline = time.monotonic() + 20
    while left_behind() != before:
        assert time.monotonic() < deadline, left_behind()
        time.sleep(0.2)
