"""The whole pipeline with its ratings on a Spark cluster, which ends with the run."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from components.artifacts.splits import STATISTICS, Splits
from components.ingest.ingest import ingest
from components.prepare.prepare import prepare
from components.prepare.settings import PrepareSettings
from pipelines.local.object_store import ObjectStore
from tests.e2e.runs import QUICK, STEPS, run
from tests.ingest.proxy import Proxy, cutting_proxy
from tests.ingest.sources import settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(900)]

OBJECTS = 6


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs put their clusters here, which tells them from those of other tests."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def processes(folder: Path, words: str = "") -> list[psutil.Process]:
    """The processes of a cluster in a folder with these words in their command."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get("SPARK_LOCAL_DIRS", "").startswith(str(folder))
        and words in " ".join(process.info["cmdline"] or [])
    ]


def left_behind(folder: Path) -> list[str]:
    """Processes of Spark, which are all that listens on its ports, and their folders."""
    return [*map(str, processes(folder)), *map(str, folder.glob("*alsolike-spark-*"))]


@contextmanager
def once(there: Callable[[], object], act: Callable[[], None]) -> Iterator[threading.Event]:
    """Act as soon as something is there; the event says that it was done."""
    done, ended = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            if there():
                act()
                done.set()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()


def upload(s3: "S3Client", bucket: str, ratings: Path) -> str:
    """Put the ratings into some objects, and return their URI."""
    for number in range(OBJECTS):
        s3.upload_file(str(ratings), bucket, f"ratings/{number}.tsv.gz")
    return f"s3://{bucket}/ratings/"


def on_one_machine(source: str, folder: Path) -> Splits:
    ingest(settings(source), folder / "ratings")
    prepare(PrepareSettings(), folder / "ratings", folder / "splits")
    return Splits.open(folder / "splits")


def test_a_run_survives_killed_workers_and_a_busy_store(
    s3: "S3Client", bucket: str, object_store: ObjectStore, ratings: Path, tmp_path: Path
) -> None:
    source = upload(s3, bucket, ratings)
    runs = tmp_path / "runs"

    def kill(words: str) -> None:
        processes(tmp_path, words)[0].kill()

    def busy(proxy: Proxy) -> dict[str, str]:
        proxy.busy_every = 20
        return object_store.environment | {"AWS_ENDPOINT_URL": proxy.endpoint}

    with (
        cutting_proxy(object_store.endpoint) as proxy,
        once(
            lambda: [*runs.rglob("ratings.parquet/part-*")], lambda: kill("deploy.worker.Worker")
        ) as ingesting,
        once(
            lambda: [*runs.rglob("customers.parquet/part-*")],
            lambda: kill("CoarseGrainedExecutorBackend"),
        ) as preparing,
    ):
        options = ("--engine", "spark")
        ended = run(tmp_path, source, QUICK, *options, environment=busy(proxy))
        assert proxy.busy >= 1
        assert proxy.requests >= OBJECTS
    assert ended.code == 0, ended.errors
    assert ingesting.is_set()
    assert preparing.is_set()
    states = {name: step["state"] for name, step in ended.summary["steps"].items()}
    assert states == dict.fromkeys(STEPS, "SUCCEEDED")
    [made] = (runs / "latest").rglob("prepare/splits")
    there, here = Splits.open(made), on_one_machine(source, tmp_path)
    assert (made / "train.parquet").is_dir()
    for name in ("train", "validation", "test"):
        pairs = zip(
            vars(getattr(here, name)).values(), vars(getattr(there, name)).values(), strict=True
        )
        assert all((one == other).all() for one, other in pairs)
    statistics = [json.loads((one.path / STATISTICS).read_text()) for one in (here, there)]
    assert statistics[0] == statistics[1]
    assert not left_behind(tmp_path)


def test_a_spark_that_ends_is_told_in_one_line(ratings: Path, tmp_path: Path) -> None:
    with once(
        lambda: [*tmp_path.rglob("ratings.parquet")],
        lambda: processes(tmp_path, "SparkConnectServer")[0].kill(),
    ) as killed:
        ended = run(tmp_path, str(ratings), QUICK, "--engine", "spark")
    assert killed.is_set()
    assert ended.code == 1
    assert "has ended or is out of reach: start it, and run again" in ended.errors
    assert "Traceback" not in ended.output + ended.errors
    assert not [*(tmp_path / "runs").rglob("ratings/manifest.json")]
    assert not left_behind(tmp_path)
