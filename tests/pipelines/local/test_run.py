"""Runs that share a folder of runs each have what is their own."""

import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from kfp import compiler, dsl
from rich.console import Console

from components.artifacts.bundles import FolderStore
from components.errors import UserError
from pipelines.definition.package import SHIPPED, Package, read_package
from pipelines.local import run as local
from pipelines.local.progress import StepRun
from pipelines.local.run import StepFailed, run
from tests.serve.bundles import make_model, write_bundle
from tests.serve.server import serve


@dsl.component(base_image="alsolike/data:1", install_kfp_package=False)
def say(source: str, destination: str) -> None:
    print(source, destination)  # noqa: T201


@dsl.pipeline(name="small")
def small_pipeline(source: str, destination: str) -> None:
    say(source=source, destination=destination)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Package:
    file = tmp_path_factory.mktemp("compiled") / "small.yaml"
    compiler.Compiler().compile(small_pipeline, str(file))
    return read_package(file)


def test_runs_that_begin_at_the_same_time_have_folders_of_their_own(tmp_path: Path) -> None:
    def begin_and_end(_: int) -> Path:
        with local._new_run(tmp_path) as folder:
            pass
        local._make_latest(folder)
        return folder

    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(begin_and_end, range(200)))
    assert len({*folders}) == 200
    assert (tmp_path / "latest").resolve() in folders
    assert {path.name for path in tmp_path.iterdir()} == {"latest", *(f.name for f in folders)}


@pytest.mark.slow
def test_each_of_two_runs_at_the_same_time_is_told_of_its_own_folder(
    small: Package, tmp_path: Path
) -> None:
    def one(source: str) -> tuple[str, Path]:
        summary = run(source, {}, Console(quiet=True), tmp_path / "runs", small.path)
        return source, Path(summary["folder"])

    with ThreadPoolExecutor(2) as pool:
        ended = dict(pool.map(one, ["s3://shop/a", "s3://shop/b"]))
    for source, folder in ended.items():
        assert json.loads((folder / "parameters.json").read_text())["source"] == source
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["folder"] == str(folder)
        assert summary["steps"]["say"]["state"] == "SUCCEEDED"
    assert (tmp_path / "runs" / "latest").resolve() in ended.values()


@pytest.mark.slow
def test_ratings_and_products_of_this_machine_are_reached_in_one_store(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("data/ratings.csv", "movies.csv"):
        (tmp_path / name).write_text(name)
    given = str(tmp_path / "data"), str(tmp_path / "movies.csv")
    with local._reachable(*given, tmp_path) as (uris, environment), local._variables(environment):
        assert uris == {
            "source": "s3://ratings/data/",
            "products_source": "s3://products/movies.csv",
        }
        client = boto3.Session().client("s3")  # the default one keeps the keys of another test
        for bucket, key in (("ratings", "data/ratings.csv"), ("products", "movies.csv")):
            body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
            assert body.decode().endswith(key)


@pytest.mark.parametrize("source", ["ratings.csv", "s3://shop/ratings.csv"])
def test_ratings_and_products_in_different_places_are_refused(source: str, tmp_path: Path) -> None:
    products = "movies.csv" if source.startswith("s3://") else "s3://shop/movies.csv"
    with (
        pytest.raises(UserError, match="must both be in S3 or both here"),
        local._reachable(source, products, tmp_path),
    ):
        pass


@pytest.mark.slow
def test_a_run_leaves_no_temporary_files(
    small: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    summary = run("s3://shop/a", {}, Console(quiet=True), tmp_path / "runs", small.path)
    assert summary["steps"]["say"]["state"] == "SUCCEEDED"
    assert not list(temporary.iterdir())


@pytest.mark.slow
def test_a_run_starts_its_steps_whatever_the_path_of_python_and_values_are(
    small: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it's a path").mkdir()
    environment = tmp_path / "it's a path" / ".venv"
    environment.symlink_to(sys.prefix)
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / "python"))
    runs = tmp_path / "all runs"
    summary = run("s3://python3/a", {}, Console(quiet=True), runs, small.path)
    assert f"s3://python3/a {runs / 'endpoint'}\n" in (runs / "latest" / "log.txt").read_text()
    assert summary["steps"]["say"]["state"] == "SUCCEEDED"


def test_steps_are_told_in_the_order_of_the_dag_and_last_those_that_did_not_run(
    tmp_path: Path,
) -> None:
    ran = [StepRun("resolve", "SUCCEEDED"), StepRun("ingest", "FAILED"), StepRun("notify")]
    parameters = {"destination": "runs/endpoint"}
    folder = tmp_path / "2026-01-01T00-00-00.000000"
    folder.mkdir()
    failed = local._Run(read_package(SHIPPED), parameters, "a.tsv", folder, {}, "")
    told = list(local._conclude(failed, ran, None, None)["steps"])
    assert told == ["resolve", "ingest", "notify", "prepare", "train", "evaluate", "deploy"]


def test_a_run_asks_the_model_that_it_deployed_whatever_is_current(
    small: Package, tmp_path: Path
) -> None:
    store = FolderStore(tmp_path / "store")
    own, other = (
        store.add(write_bundle(tmp_path / f"bundle-{seed}", make_model(seed=seed)))
        for seed in range(2)
    )
    store.make_current(own)
    store.make_current(other)
    endpoint = tmp_path / "run" / "artifacts" / "small" / "deploy" / "endpoint"
    endpoint.mkdir(parents=True)
    (endpoint / "endpoint.json").write_text(json.dumps({"version": own}))
    destination = {"destination": store.location}
    answer = local._ask(local._Run(small, destination, "a.tsv", tmp_path / "run", {}, ""))
    items, stars = make_model(seed=0).seen.of(9)  # the first customer with 10 ratings
    newest_first = items[stars == stars.max()][::-1]
    assert answer.customer == "C000009"
    assert answer.liked == [f"Café “No. {item}”" for item in newest_first]
    with serve(Path(store.location_of(own))) as server:
        of_own = server.client.get("/recommend/C000009?n=10").json()
    assert answer.recommendations == of_own["recommendations"]


@dsl.component(base_image="alsolike/data:1", install_kfp_package=False)
def fail(source: str) -> None:
    import sys

    sys.exit(f"error: fail: {source} is not there")


@dsl.pipeline(name="failing")
def failing_pipeline(source: str, destination: str) -> None:
    fail(source=source).after(say(source=source, destination=destination))


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("compiled") / "failing.yaml"
    compiler.Compiler().compile(failing_pipeline, str(file))
    return file


def read_latest(runs: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((runs / "latest" / "summary.json").read_text())
    return summary


@pytest.mark.slow
def test_a_step_that_fails_is_in_the_summary_of_the_latest_run(
    failing: Path, tmp_path: Path
) -> None:
    with pytest.raises(StepFailed, match="s3://shop/a is not there"):
        run("s3://shop/a", {}, Console(quiet=True), tmp_path, failing)
    summary = read_latest(tmp_path)
    assert summary["error"] == {"step": "fail", "message": "error: fail: s3://shop/a is not there"}
    assert summary["steps"]["say"]["state"] == "SUCCEEDED"
    assert summary["source"] == "s3://shop/a"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failure", "message"),
    [(UserError("no version"), "no version"), (KeyboardInterrupt(), "interrupted")],
)
def test_what_fails_after_the_last_step_is_in_the_summary_too(
    small: Package,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    message: str,
) -> None:
    def ask(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(local, "_is_deployed", lambda _: True)
    monkeypatch.setattr(local, "_ask", ask)
    with pytest.raises(type(failure)):
        run("s3://shop/a", {}, Console(quiet=True), tmp_path, small.path)
    assert read_latest(tmp_path)["error"] == {"step": None, "message": message}


@pytest.mark.slow
def test_a_relative_destination_means_the_working_directory_to_every_step(
    small: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"destination": "my/models"}
    summary = run("s3://shop/a", given, Console(quiet=True), Path("runs"), small.path)
    wanted = str(tmp_path / "my" / "models")
    assert summary["destination"] == wanted
    assert f"s3://shop/a {wanted}\n" in (tmp_path / "runs" / "latest" / "log.txt").read_text()


def test_a_folder_that_cannot_be_written_is_told_with_the_option(
    small: Package, tmp_path: Path
) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write to .*runs .*by --runs"):
        run("s3://shop/a", {}, Console(quiet=True), tmp_path / "runs", small.path)
