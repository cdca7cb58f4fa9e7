"""The whole pipeline in containers: the same comes of it, and none of them is left behind."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import docker
import pytest
from rich.console import Console

from components import images
from pipelines.local.containers import LABEL
from pipelines.local.object_store import ObjectStore
from pipelines.local.source import upload
from pipelines.local.summary import TRIALS
from pipelines.local.tune import tune_locally
from tests.e2e.runs import QUICK, STEPS, Run, interrupt, run

if TYPE_CHECKING:
    from docker.models.containers import Container

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture(scope="module")
def in_processes(ratings: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("processes"), str(ratings))


@pytest.fixture(scope="module")
def started() -> Iterator["Counter[str]"]:
    """How many containers of runs were started since, by image."""
    count: Counter[str] = Counter()
    filters = {"type": "container", "event": "start", "label": LABEL}
    events = docker.from_env().events(decode=True, filters=filters)

    def read() -> None:
        for event in events:
            count[event["from"]] += 1

    reader = Thread(target=read)
    reader.start()
    yield count
    events.close()
    reader.join()


@pytest.fixture(scope="module")
def in_containers(
    ratings: Path,
    object_store: ObjectStore,
    started: "Counter[str]",
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """A run on ratings that lie in S3."""
    assert not started
    source, folder = upload(ratings, object_store, "ratings"), tmp_path_factory.mktemp("containers")
    return run(folder, source, QUICK, "--docker", environment=object_store.environment)


def of_runs() -> "set[Container]":
    """All containers of runs that this engine has, also those that other runs left."""
    return set(docker.from_env().containers.list(all=True, filters={"label": LABEL}))


@pytest.fixture(autouse=True)
def _no_containers_left() -> Iterator[None]:
    before = of_runs()
    yield
    assert of_runs() <= before


def test_containers_come_to_the_same_as_processes(in_processes: Run, in_containers: Run) -> None:
    assert in_containers.code == 0, in_containers.errors
    expected, summary = in_processes.summary, in_containers.summary
    assert summary["metrics"] == pytest.approx(expected["metrics"], abs=1e-6)
    for name, metrics in expected["baselines"].items():
        assert summary["baselines"][name] == pytest.approx(metrics, abs=1e-6)
    assert summary["verdict"]["passed"] == expected["verdict"]["passed"]
    assert {name: step["state"] for name, step in summary["steps"].items()} == dict.fromkeys(
        STEPS, "SUCCEEDED"
    )
    assert [product["product_id"] for product in summary["recommendations"]] == [
        product["product_id"] for product in expected["recommendations"]
    ]


def test_every_step_and_the_server_have_a_container_of_their_image(
    in_containers: Run, started: "Counter[str]"
) -> None:
    assert in_containers.summary["endpoint"]["checked"]
    data = ["resolve", "ingest", "prepare", "evaluate", "notify"]
    serve = ["deploy", "the server that was asked"]
    assert started == {images.DATA: len(data), images.TRAIN: 1, images.SERVE: len(serve)}


def test_no_file_of_a_run_holds_the_key(in_containers: Run, object_store: ObjectStore) -> None:
    files = [path for path in in_containers.folder.rglob("*") if path.is_file()]
    assert files
    assert not [file for file in files if object_store.secret_key.encode() in file.read_bytes()]


def test_a_step_that_fails_has_the_last_word(ratings: Path, tmp_path: Path) -> None:
    ended = run(tmp_path, str(ratings), f"{QUICK} min_customer_ratings=1000", "--docker")
    assert ended.code == 1
    assert ended.errors.strip().splitlines()[-1].startswith("error: prepare: too few of the ")
    assert ended.summary["steps"]["prepare"]["state"] == "FAILED"


def test_a_search_has_its_trials_in_containers_too(ratings: Path, tmp_path: Path) -> None:
    given = {"trials": "2", "batch": "2", "epochs": "2"}
    runs = tmp_path / "runs"
    summary = tune_locally(str(ratings), given, Console(quiet=True), runs, docker=True)
    assert summary["endpoint"]["checked"]
    assert (Path(summary["folder"]) / TRIALS).exists()


@pytest.mark.parametrize(
    ("number", "until"),
    [(signal.SIGTERM, ""), (signal.SIGINT, "ingest"), (signal.SIGTERM, "train")],
)
def test_no_container_is_left_after_an_interrupt(
    ratings: Path, tmp_path: Path, number: signal.Signals, until: str
) -> None:
    before = of_runs()
    interrupt(tmp_path, ratings, number, until, "--docker")
    assert of_runs() <= before
