"""The whole step, to a folder and to S3: what it writes, and that a failure changes nothing."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from components.artifacts.bundles import FolderStore, current_version, open_current, open_store
from components.artifacts.model import Model
from components.deploy import deploy as step
from components.deploy.deploy import deploy, deploy_stored
from components.deploy.server import serving
from components.deploy.settings import DeploySettings
from components.errors import UserError
from tests.serve.bundles import make_model, write_bundle

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    first, second = (write_bundle(folder / f"{n}", make_model(seed=n)) for n in range(2))
    return first, second


def test_a_folder_gets_the_version_its_golden_answers_and_the_pointer(
    tmp_path: Path, models: tuple[Path, Path]
) -> None:
    settings = DeploySettings(destination=str(tmp_path / "store"), precompute_top_n=5)
    facts = deploy(settings, models[0], tmp_path / "endpoint")
    assert facts == json.loads((tmp_path / "endpoint" / "endpoint.json").read_text())
    assert "previous" not in facts
    current = tmp_path / "store" / "current"
    assert current.is_symlink()
    assert current.resolve().name == facts["version"]
    assert {"golden.json", "manifest.json"} < {file.name for file in current.iterdir()}
    again = deploy(settings, models[1], tmp_path / "endpoint")
    assert again["previous"] == facts["version"]
    assert FolderStore(tmp_path / "store").history() == [facts["version"], again["version"]]


def test_s3_gets_the_version_and_gives_it_back(
    tmp_path: Path, models: tuple[Path, Path], bucket: str, s3: "S3Client"
) -> None:
    settings = DeploySettings(destination=f"s3://{bucket}/models")
    assert open_current(settings.destination, tmp_path) is None
    versions = [deploy(settings, model, tmp_path / "out")["version"] for model in models]
    store = open_store(settings.destination)
    assert store.history() == versions
    assert sorted(store.versions()) == sorted(versions)
    champion = open_current(settings.destination, tmp_path / "fetched")
    assert champion is not None
    assert champion.name == versions[1]
    s3.delete_object(Bucket=bucket, Key=f"models/versions/{versions[0]}/manifest.json")
    with pytest.raises(UserError, match=r"no manifest\.json"):
        deploy_stored(settings, versions[0])
    assert current_version(store) == versions[1]


def test_a_bucket_that_is_not_there_is_one_line(
    tmp_path: Path, models: tuple[Path, Path], s3: "S3Client"
) -> None:
    del s3
    settings = DeploySettings(destination="s3://no-such-bucket/models")
    reason = r"s3://no-such-bucket/models: .*check the bucket's name"
    with pytest.raises(UserError, match=reason):
        open_store(settings.destination).versions()
    with pytest.raises(UserError, match=reason):
        deploy(settings, models[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_going_back_is_a_rollout_too(tmp_path: Path, models: tuple[Path, Path]) -> None:
    settings = DeploySettings(destination=str(tmp_path / "store"))
    first, second = (deploy(settings, model, tmp_path / "out")["version"] for model in models)
    deploy_stored(settings, first)
    assert FolderStore(tmp_path / "store").history() == [second, first]


def test_a_running_server_takes_the_new_version_up(
    tmp_path: Path, models: tuple[Path, Path]
) -> None:
    settings = DeploySettings(destination=str(tmp_path / "store"))
    deploy(settings, models[0], tmp_path / "out")
    with serving(tmp_path / "store" / "current", 60) as ask:
        version = deploy(settings, models[1], tmp_path / "out")["version"]
        served: list[str] = []
        while version not in served:  # the suite's time-out ends a server that never does
            served = ask("/v2/models/recommender", None)["versions"]


def test_a_model_that_cannot_be_served_leaves_the_old_one(
    tmp_path: Path, models: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    settings = DeploySettings(destination=str(tmp_path / "store"))
    first = deploy(settings, models[0], tmp_path / "out")["version"]
    model = make_model(seed=2)
    assert model.rating is not None
    model.rating.items[3, 3] = np.nan
    write_bundle(tmp_path / "bad", model)
    with pytest.raises(UserError, match="the server ended on the new bundle"):
        deploy(settings, tmp_path / "bad", tmp_path / "bad-out")
    assert current_version(open_store(settings.destination)) == first
    assert not (tmp_path / "bad-out").exists()
    assert "is rolled back" in caplog.text


def test_a_slow_version_leaves_the_old_one(
    tmp_path: Path, models: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    destination = str(tmp_path / "store")
    deploy(DeploySettings(destination=destination), models[0], tmp_path / "out")
    slow = DeploySettings(destination=destination, max_latency_ms=1e-6)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(UserError, match="for 95 in 100 requests, more than max_latency_ms=1e-06"),
    ):
        deploy(slow, models[1], tmp_path / "out")
    assert len(FolderStore(Path(destination)).history()) == 1
    assert "is rolled back" in caplog.text


def test_no_server_is_left_when_the_rollout_is_interrupted(
    tmp_path: Path, models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.deploy import rollout

    addresses = []

    def interrupt(_settings: object, address: str, *_: object) -> None:
        addresses.append(address)
        raise KeyboardInterrupt

    monkeypatch.setattr(rollout, "smoke_test", interrupt)
    settings = DeploySettings(destination=str(tmp_path / "store"))
    with pytest.raises(KeyboardInterrupt):
        step.deploy(settings, models[0], tmp_path / "out")
    from components.deploy.http import is_ready

    assert not is_ready(addresses[0])
    assert current_version(open_store(settings.destination)) is None


def test_the_golden_answers_are_the_models_own(tmp_path: Path, models: tuple[Path, Path]) -> None:
    settings = DeploySettings(destination=str(tmp_path / "store"))
    deploy(settings, models[0], tmp_path / "out")
    current = tmp_path / "store" / "current"
    golden = json.loads((current / "golden.json").read_text())
    [prediction] = [each for each in golden if each["path"].endswith(":predict")]
    model = Model.load(current)
    assert model.rating is not None
    tables = (model.catalogue.customers, model.catalogue.products)
    customers, products = ([table[n] for n in range(len(table))] for table in tables)
    for instance, stars in zip(
        prediction["body"]["instances"], prediction["answer"]["predictions"], strict=True
    ):
        user = np.array([customers.index(instance["customer_id"])], np.int32)
        item = np.array([products.index(instance["product_id"])], np.int32)
        assert stars == pytest.approx(model.rating.predict(user, item)[0], abs=1e-6)
    strangers = [each for each in golden if each["answer"].get("results") == [{"cold_start": True}]]
    assert len(strangers) == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--target=kserve"], "needs a destination that begins with s3://"),
        (["--canary-percent=20"], "needs target kserve and kserve_mode knative"),
        (["--min-replicas=0"], "needs target kserve"),
        (["--min-replicas=9"], "max_replicas is below min_replicas"),
        (["--target=moon"], "target='moon'"),
    ],
)
def test_settings_that_do_not_fit_end_the_step_with_one_line(
    tmp_path: Path, models: tuple[Path, Path], arguments: list[str], reason: str
) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "components.deploy", f"--model={models[0]}"),
            *(f"--output={tmp_path / 'out'}", *arguments),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert ended.returncode == 1
    assert reason in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_deployment_that_is_ended_leaves_no_server(
    tmp_path: Path, models: tuple[Path, Path], number: signal.Signals
) -> None:
    """Nor, where it may still clean up, a temporary file."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [
        *(sys.executable, "-m", "components.deploy", f"--model={models[0]}"),
        *(f"--output={tmp_path / 'out'}", f"--destination={tmp_path / 'store'}"),
        "--smoke-requests=1000000",
    ]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("golden requests" in line for line in process.stderr)
        assert servers_of(tmp_path)
        process.send_signal(number)
        last = process.stderr.read().strip().rpartition("\n")[2]
    deadline = time.monotonic() + 60
    while servers_of(tmp_path):
        assert time.monotonic() < deadline, "the server is left"
        time.sleep(0.05)
    if number == signal.SIGTERM:
        assert process.returncode == 1
        assert last == "error: deploy: interrupted"
        assert list(scratch.iterdir()) == []


def servers_of(folder: Path) -> list[int]:
    """The processes that serve a bundle in a folder."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = command.read_bytes()
            if b"components.serve\0" in words and os.fsencode(folder) in words:
                found.append(int(command.parent.name))
    return found
