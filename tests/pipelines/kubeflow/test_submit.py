"""A run on Kubeflow, from the upload to its end."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from components.errors import UserError
from pipelines.command.main import app
from pipelines.definition.environment import Access, Environment
from pipelines.definition.package import Package, parse_assignments, read_package
from pipelines.kubeflow import submit
from pipelines.kubeflow.client import Session, connect
from pipelines.kubeflow.versions import git_revision, publish
from tests.pipelines.fake_kubeflow import FakeKubeflow

Submit = Callable[..., Result]


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "_POLL_SECONDS", 0.01)


@pytest.fixture
def run_submit(fake: FakeKubeflow, package: Package) -> Submit:
    fixed = ["submit", "--package", str(package.path), "--endpoint", fake.endpoint]
    fixed += ["--access", "anonymous", "--revision", "4f2c1a9"]
    return lambda *options: CliRunner().invoke(app, [*fixed, *options])


def test_a_run_is_named_by_revision_and_moment_and_its_page_is_printed(
    run_submit: Submit, fake: FakeKubeflow
) -> None:
    result = run_submit()
    (run,) = fake.runs.values()
    assert result.exit_code == 0
    assert re.fullmatch(r"training-4f2c1a9-\d{8}T\d{6}Z", run.display_name)
    assert f"{fake.endpoint}/#/runs/details/{run.run_id}" in result.stdout
    (version,) = fake.versions.values()
    assert version.name == version.tags["revision"] == "4f2c1a9"
    assert fake.experiments[run.experiment_id].display_name == "alsolike-dev"


def test_parameters_arrive_in_their_types_beside_those_of_the_environment(
    run_submit: Submit, fake: FakeKubeflow
) -> None:
    gate = '[{"metric": "mse", "comparison": "at_most", "threshold": 1}]'
    options = ["window_days=90", "rate=0.5", "again=true", f"gate={gate}", "run_date=2026-01-05"]
    run_submit(*(part for option in options for part in ("--param", option)))
    (run,) = fake.runs.values()
    assert run.runtime_config.parameters == {
        "device": "cpu",
        "destination": "s3://alsolike-dev/models",
        "source": "s3://alsolike-dev/ratings",
        "window_days": 90,
        "rate": 0.5,
        "again": True,
        "gate": json.loads(gate),
        "run_date": "2026-01-05",
    }


def test_a_search_is_a_run_of_the_tuning_pipeline(fake: FakeKubeflow) -> None:
    command = ["submit", "--tune", "--endpoint", fake.endpoint, "--access", "anonymous"]
    command += ["--revision", "4f2c1a9", "-p", "trials=5", "-p", "batch=2"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.exception
    (run,), (pipeline,) = fake.runs.values(), fake.pipelines.values()
    assert pipeline.display_name == "alsolike-tuning"
    assert run.display_name.startswith("tuning-4f2c1a9-")
    assert run.runtime_config.parameters["trials"] == 5


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("epoch=3", "no parameter 'epoch': it has again, destination"),
        ("window_days=many", "window_days=many: it takes a whole number"),
        ("again=yes", "it takes true or false"),
        ("gate=[", "it takes a list, such as [a, b]"),
        ("gate=[{metric: msee, comparison: at_most, threshold: 1}]", "no metric 'msee'"),
        ("device", "write name=value"),
        ("window_days=90", "window_days needs run_date"),
        ("device=tpu", "train: device='tpu': "),
        ('gate=[{"metric":"msee","comparison":"at_most","threshold":1}]', "no metric 'msee'"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_is_uploaded(
    run_submit: Submit, fake: FakeKubeflow, assignment: str, words: str
) -> None:
    result = run_submit("--param", assignment)
    assert isinstance(result.exception, UserError)
    assert words in str(result.exception)
    assert not fake.requests


def test_a_dry_run_changes_nothing(run_submit: Submit, fake: FakeKubeflow) -> None:
    result = run_submit("--dry-run", "--param", "device=gpu")
    assert "4f2c1a9 (to be uploaded)" in result.stdout
    assert "device=gpu" in result.stdout
    assert {method for method, _ in fake.requests} == {"GET"}


def test_unchanged_content_is_not_uploaded_again(
    session: Session, fake: FakeKubeflow, environment: Environment, package: Package
) -> None:
    first, uploaded = publish(session, environment, package, "one")
    again, uploaded_again = publish(session, environment, package, "two")
    assert (uploaded, uploaded_again) == (True, False)
    assert first == again
    assert fake.took("POST", ".*/upload_version") == 1


def test_changed_content_of_one_revision_gets_a_name_of_its_own(
    session: Session, environment: Environment, package: Package
) -> None:
    publish(session, environment, package, "one")
    changed, _ = publish(session, environment, replace(package, digest="f" * 64), "one")
    assert changed.name == "one-ffffffff"


def test_the_uploaded_version_is_found_beyond_the_first_page(
    session: Session,
    environment: Environment,
    package: Package,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipelines.kubeflow.versions._PAGE", 2)
    first, _ = publish(session, environment, package, "0")
    for number in range(1, 6):
        publish(session, environment, replace(package, digest=str(number) * 64), str(number))
    assert publish(session, environment, package, "again") == (first, False)


@pytest.mark.parametrize("path", ["/pipelines", "/upload_version", "/experiments", "/runs"])
@pytest.mark.parametrize("fault", [{"dropped": "before"}, {"dropped": "after"}, {"status": 503}])
def test_a_lost_answer_makes_nothing_twice(
    run_submit: Submit, fake: FakeKubeflow, path: str, fault: dict[str, object]
) -> None:
    fake.fail("POST", path, **fault)  # type: ignore[arg-type]
    assert run_submit().exit_code == 0
    made = [fake.pipelines, fake.versions, fake.experiments, fake.runs]
    assert [len(things) for things in made] == [1, 1, 1, 1]


@pytest.mark.parametrize("path", ["/pipelines", "/upload_version", "/experiments"])
def test_what_another_client_made_meanwhile_is_used(
    run_submit: Submit, fake: FakeKubeflow, path: str
) -> None:
    fake.fail("POST", path, 409, dropped="after")
    assert run_submit().exit_code == 0
    made = [fake.pipelines, fake.versions, fake.experiments, fake.runs]
    assert [len(things) for things in made] == [1, 1, 1, 1]


def test_waiting_shows_each_change_of_a_step_and_ends_with_success(
    run_submit: Submit, fake: FakeKubeflow
) -> None:
    fake.story = [
        {"state": "RUNTIME_STATE_UNSPECIFIED"},
        {"state": "PENDING", "tasks": {"root-driver": "RUNNING"}},
        {"state": "RUNNING", "tasks": {"Ingest ratings": "RUNNING", "train": "PENDING"}},
        {"state": "RUNNING", "tasks": {"ingest": "SUCCEEDED", "train": "RUNNING"}},
        {"state": "RUNNING", "tasks": {"ingest": "SUCCEEDED", "train": "RUNNING"}},
        {"state": "SUCCEEDED", "tasks": {"ingest": "SUCCEEDED", "train": "SUCCEEDED"}},
    ]
    result = run_submit("--wait")
    changes = re.findall(r"^[\d:]{8} (\S+) +(\S+)$", result.stdout, re.MULTILINE)
    assert changes == [
        ("ingest", "running"),
        ("train", "pending"),
        ("ingest", "succeeded"),
        ("train", "running"),
        ("train", "succeeded"),
    ]
    assert result.exit_code == 0


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_a_run_that_does_not_succeed_ends_with_its_reason_and_exit_code_1(
    run_submit: Submit, fake: FakeKubeflow, state: str
) -> None:
    fake.story = [{"state": state, "tasks": {"train": "FAILED"}, "error": "OOMKilled"}]
    result = run_submit("--wait")
    assert result.exit_code == 1
    assert f"the run {state.lower()}: OOMKilled" in result.stdout


@pytest.mark.parametrize(("state", "exit_code"), [("SUCCEEDED", 0), ("FAILED", 1)])
def test_the_following_of_a_run_is_taken_up_again(
    run_submit: Submit, fake: FakeKubeflow, package: Package, state: str, exit_code: int
) -> None:
    run_id = run_submit().stdout.strip().rpartition("/")[2]
    fake.story = [{"state": "RUNNING", "tasks": {"train": "RUNNING"}}, {"state": state}]
    where = ["--package", str(package.path), "--endpoint", fake.endpoint, "--access", "anonymous"]
    result = CliRunner().invoke(app, ["follow", run_id, *where])
    assert result.exit_code == exit_code
    assert "train      running" in result.stdout
    assert f"the run {state.lower()}" in result.stdout


def test_waiting_outlives_short_faults(run_submit: Submit, fake: FakeKubeflow) -> None:
    fake.story = [{"state": "RUNNING"}, {"state": "RUNNING"}, {"state": "SUCCEEDED"}]
    for fault in ({"status": 502}, {"dropped": "before"}, {"status": 500}):
        fake.fail("GET", "/runs/[^/]+", **fault)
    assert run_submit("--wait").exit_code == 0


def test_a_token_that_expires_while_waiting_says_that_the_run_goes_on(
    run_submit: Submit, fake: FakeKubeflow
) -> None:
    run_submit()
    fake.story = [{"state": "RUNNING"}]
    fake.forbidden = ("/runs/",)
    result = run_submit("--wait")
    assert "the run itself continues: http" in str(result.exception)


def test_waiting_outlives_one_refusal_of_the_token(run_submit: Submit, fake: FakeKubeflow) -> None:
    """Kubeflow answers 401 to everybody while it cannot reach the Kubernetes API."""
    fake.story = [{"state": "RUNNING"}, {"state": "SUCCEEDED"}]
    fake.fail("GET", "/runs/[^/]+", 401)
    assert run_submit("--wait").exit_code == 0


def test_waiting_ends_when_the_token_is_refused_again(
    run_submit: Submit, fake: FakeKubeflow
) -> None:
    fake.fail("GET", "/runs/[^/]+", 401, times=2)
    result = run_submit("--wait")
    assert "does not accept the credentials" in str(result.exception)
    assert "the run itself continues: http" in str(result.exception)


def test_an_upload_without_the_right_names_the_role(run_submit: Submit, fake: FakeKubeflow) -> None:
    fake.forbidden = ("/upload_version",)
    error = str(run_submit().exception)
    assert "answers 400 (Failed to create a pipeline version): check that your account" in error
    assert "alsolike-submit" in error


def test_a_file_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text("a: [1\n")
    with pytest.raises(UserError, match="not a compiled pipeline"):
        read_package(file)
    with pytest.raises(UserError, match="compile the pipeline first"):
        read_package(tmp_path / "none.yaml")


def test_assignments_keep_equals_signs_in_values() -> None:
    assert parse_assignments(["a=b=c"]) == {"a": "b=c"}


def test_a_name_that_is_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match="a is given twice, as 'b' and as 'c'"):
        parse_assignments(["a=b", "a=c"])


def test_a_revision_says_whether_files_differ_from_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="give --revision"):
        git_revision()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    file = tmp_path / "file"
    file.write_text("one")
    for command in (["init", "--quiet"], ["add", "file"], ["commit", "--quiet", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    assert re.fullmatch(r"[0-9a-f]{12}", git_revision())
    file.write_text("two")
    assert git_revision().endswith("-dirty")


def test_with_several_users_everything_lies_in_the_profile(
    fake: FakeKubeflow, package: Package, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.token = "secret"
    monkeypatch.setenv("ALSOLIKE_KFP_TOKEN", "secret")
    settings = environment.kubeflow.model_copy(
        update={"access": Access.TOKEN, "profile": "team", "service_account": "alsolike-pipeline"}
    )
    ours = environment.model_copy(update={"kubeflow": settings, "pipeline_root": "s3://b/root"})
    said: list[str] = []
    with connect(settings) as session:
        for revision in ("one", "two"):
            submit.Submission(session, ours, package, revision, {}).start(said.append)
    (pipeline,), (experiment,) = fake.pipelines.values(), fake.experiments.values()
    assert (pipeline.namespace, experiment.namespace) == ("team", "team")
    run, _ = fake.runs.values()
    assert run.service_account == "alsolike-pipeline"
    assert run.runtime_config.pipeline_root == "s3://b/root"


def test_a_parameter_without_a_default_must_be_given(package: Package) -> None:
    with pytest.raises(UserError, match="parameter source has no default"):
        package.parameters({"window_days": 90})
