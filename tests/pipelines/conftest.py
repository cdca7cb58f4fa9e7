"""A small compiled pipeline, a fake Kubeflow, and an environment that points at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kfp import compiler, dsl

from pipelines.definition.environment import Access, Environment, load_environment
from pipelines.definition.package import Package, read_package
from pipelines.kubeflow import client as kubeflow
from pipelines.kubeflow.client import Session, connect
from tests.pipelines.fake_kubeflow import FakeKubeflow, serve_fake_kubeflow


@dsl.component(base_image="alsolike/data:1", install_kfp_package=False)
def ingest(source: str, run_date: str, window_days: int) -> str:
    return f"{source} {run_date} {window_days}"


@dsl.component(base_image="alsolike/train-cpu:1", install_kfp_package=False)
def train(
    ratings: str, destination: str, device: str, rate: float, again: bool, gate: list[str]
) -> None:
    print(ratings, destination, device, rate, again, gate)  # noqa: T201


@dsl.component(base_image="alsolike/data:1", install_kfp_package=False)
def notify(status: dsl.PipelineTaskFinalStatus) -> None:
    print(status.state)  # noqa: T201


@dsl.pipeline(name="alsolike-training", description="A small one")
def small_pipeline(
    source: str,
    run_date: str = "",
    window_days: int = 0,
    device: str = "auto",
    destination: str = "",
    rate: float = 0.1,
    again: bool = False,
    gate: list[str] = [],  # noqa: B006 - KFP reads the default, nothing changes it
) -> None:
    with dsl.ExitHandler(notify()):
        ratings = ingest(source=source, run_date=run_date, window_days=window_days)
        ratings.set_display_name("Ingest ratings")
        train(
            ratings=ratings.output,
            destination=destination,
            device=device,
            rate=rate,
            again=again,
            gate=gate,
        )


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The small pipeline, compiled and read back."""
    file = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compiler.Compiler().compile(small_pipeline, str(file))
    return read_package(file)


@pytest.fixture(autouse=True, scope="session")
def unlocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Images that were pushed from this checkout change nothing."""
    none = tmp_path_factory.mktemp("lock") / "none"
    with pytest.MonkeyPatch.context() as patch:
        for module in ("pipelines.definition.environment", "pipelines.command.main"):
            patch.setattr(f"{module}.LOCK", none)
        yield


@pytest.fixture(autouse=True)
def quick_and_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Clients pause shortly, and take nothing from the surroundings."""
    monkeypatch.setattr(kubeflow, "_RETRY_PAUSES", (0.01, 0.01))
    monkeypatch.setattr("kfp.client.Client._LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    for variable in ("KF_PIPELINES_ENDPOINT", "KF_PIPELINES_UI_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def fake() -> Iterator[FakeKubeflow]:
    """A fake Kubeflow, on which all that a test lets go wrong has gone wrong at its end."""
    with serve_fake_kubeflow() as server:
        yield server
    assert [fault for fault in server.faults if fault.times] == []


@pytest.fixture
def environment(fake: FakeKubeflow) -> Environment:
    """A single-user environment on the fake."""
    shipped = load_environment("dev")
    kubeflow_settings = shipped.kubeflow.model_copy(
        update={"endpoint": fake.endpoint, "access": Access.ANONYMOUS}
    )
    return shipped.model_copy(update={"kubeflow": kubeflow_settings})


@pytest.fixture
def session(environment: Environment) -> Iterator[Session]:
    """A client of the fake."""
    with connect(environment.kubeflow) as connected:
        yield connected
