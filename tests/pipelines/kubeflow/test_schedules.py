"""Schedules on Kubeflow become those of the file, without a gap and without a double."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from components.errors import UserError
from pipelines.command import kubeflow as remote
from pipelines.definition.environment import Environment
from pipelines.definition.package import Package
from pipelines.kubeflow import schedules
from pipelines.kubeflow.client import Session, connect
from pipelines.kubeflow.schedules import read_schedules
from pipelines.kubeflow.versions import publish
from tests.pipelines.fake_kubeflow import FakeKubeflow

WEEKLY = {"cron": "0 0 3 * * MON", "parameters": {"window_days": 730}}

Run = Callable[..., Result]
Write = Callable[[dict[str, Any]], None]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "schedules.yaml"


@pytest.fixture
def write(file: Path) -> Write:
    return lambda content: void(file.write_text(yaml.safe_dump({"schedules": content})))


def void(_: object) -> None:
    pass


@pytest.fixture
def run(fake: FakeKubeflow, package: Package, file: Path) -> Run:
    fixed = ["--package", str(package.path), "--endpoint", fake.endpoint]
    fixed += ["--access", "anonymous", "--file", str(file)]

    def invoke(command: str, *options: str) -> Result:
        revision = ["--revision", "one"] if command == "apply" else []
        return CliRunner().invoke(remote.schedules, [command, *fixed, *revision, *options])

    return invoke


def test_a_kubeflow_that_ignores_the_account_of_a_schedule_is_refused(
    write: Write, file: Path, fake: FakeKubeflow, environment: Environment, package: Package
) -> None:
    """Its runs would have other rights, and every plan would replace every schedule."""
    fake.release = "2.16.0"
    account = environment.kubeflow.model_copy(update={"service_account": "alsolike-pipeline"})
    ours = environment.model_copy(update={"kubeflow": account})
    write({"weekly": WEEKLY})
    with (
        connect(account) as session,
        pytest.raises(UserError, match=r"without kubeflow\.service_account: upgrade"),
    ):
        schedules.plan(session, ours, package, read_schedules(file), None)


def test_a_schedule_is_made_and_a_second_apply_changes_nothing(
    run: Run, write: Write, fake: FakeKubeflow
) -> None:
    write({"weekly": WEEKLY})
    assert run("apply").stdout == "create   weekly  cron 0 0 3 * * MON\n"
    (made,) = fake.recurring.values()
    before = len([request for request in fake.requests if request[0] != "GET"])
    assert run("apply").stdout == "keep     weekly\n"
    assert len([request for request in fake.requests if request[0] != "GET"]) == before
    assert (made.status, made.max_concurrency, made.no_catchup) == ("ENABLED", "1", True)


def test_the_moment_of_the_tick_is_the_date_of_the_run(
    run: Run, write: Write, fake: FakeKubeflow
) -> None:
    write({"weekly": WEEKLY})
    run("apply")
    (made,) = fake.recurring.values()
    assert made.runtime_config.parameters == {
        "window_days": 730,
        "device": "cpu",
        "destination": "s3://alsolike-dev/models",
        "source": "s3://alsolike-dev/ratings",
        "run_date": "[[ScheduledTime]]",
    }


def test_without_a_window_no_date_keeps_a_run_from_the_cache(
    run: Run, write: Write, fake: FakeKubeflow
) -> None:
    write({"weekly": WEEKLY | {"parameters": {"window_days": 0}}})
    run("apply")
    (made,) = fake.recurring.values()
    assert "run_date" not in made.runtime_config.parameters


def test_a_plan_shows_the_differences_and_changes_nothing(
    run: Run, write: Write, fake: FakeKubeflow
) -> None:
    write({"weekly": WEEKLY, "old": WEEKLY})
    run("apply")
    asked = len(fake.requests)
    write({"weekly": WEEKLY | {"cron": "0 0 4 * * MON", "max_concurrency": 2}, "new": WEEKLY})
    assert run("plan").stdout.splitlines() == [
        "create   new  cron 0 0 3 * * MON",
        "delete   old",
        "replace  weekly  cron 0 0 3 * * MON -> 0 0 4 * * MON; max_concurrency 1 -> 2",
    ]
    assert {method for method, _ in fake.requests[asked:]} == {"GET"}


def test_a_plan_works_before_anything_was_uploaded(run: Run, write: Write) -> None:
    write({"weekly": WEEKLY})
    assert run("plan").stdout == "create   weekly  cron 0 0 3 * * MON\n"


@pytest.mark.parametrize(
    "change",
    [
        {"cron": "0 0 4 * * MON"},
        {"time_zone": "Asia/Tokyo"},
        {"parameters": {"window_days": 30}},
        {"max_concurrency": 3},
        {"catch_up": True},
        {"version": "latest", "parameters": {}},
        {"description": "another"},
    ],
)
def test_an_exchange_never_leaves_two_awake_nor_deletes_before_the_copy_is_awake(
    run: Run, write: Write, fake: FakeKubeflow, change: dict[str, Any]
) -> None:
    write({"weekly": WEEKLY})
    run("apply")
    fake.live.clear()
    write({"weekly": WEEKLY | change})
    assert run("apply").stdout.startswith("replace  weekly")
    assert [state["weekly"] for state in fake.live] == [1, 0, 1, 1]
    assert run("plan").stdout == "keep     weekly\n"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/recurringruns"),
        ("POST", "/recurringruns/.*:disable"),
        ("POST", "/recurringruns/.*:enable"),
        ("DELETE", "/recurringruns/.*"),
    ],
)
@pytest.mark.parametrize("fault", [{"dropped": "before"}, {"dropped": "after"}, {"status": 400}])
def test_an_apply_that_was_cut_short_is_carried_on_by_the_next(
    run: Run, write: Write, fake: FakeKubeflow, method: str, path: str, fault: dict[str, Any]
) -> None:
    write({"weekly": WEEKLY})
    run("apply")
    write({"weekly": WEEKLY | {"cron": "0 0 4 * * MON"}})
    fake.fail(method, path, times=9, **fault)
    run("apply")
    assert fake.faults.pop().times < 9
    run("apply")
    (only,) = fake.recurring.values()
    assert (only.status, only.trigger.cron_schedule.cron) == ("ENABLED", "0 0 4 * * MON")
    assert all(state.get("weekly", 0) <= 1 for state in fake.live)


def test_a_sleeping_schedule_is_woken_and_put_to_sleep_without_an_exchange(
    run: Run, write: Write, fake: FakeKubeflow
) -> None:
    write({"weekly": WEEKLY | {"enabled": False}})
    run("apply")
    (made,) = fake.recurring.values()
    assert made.status == "DISABLED"
    write({"weekly": WEEKLY})
    assert run("apply").stdout == "wake     weekly\n"
    assert made.status == "ENABLED"
    write({"weekly": WEEKLY | {"enabled": False}})
    assert run("apply").stdout == "sleep    weekly\n"
    assert list(fake.recurring.values()) == [made]


def test_a_schedule_that_left_the_file_goes_and_one_that_a_person_made_stays(
    run: Run, write: Write, fake: FakeKubeflow
) -> None:
    write({"weekly": WEEKLY, "mine": WEEKLY})
    run("apply")
    for made in fake.recurring.values():
        if made.display_name == "mine":
            made.description = "made by hand"
    write({})
    assert run("apply").stdout == "delete   weekly\n"
    assert [left.description for left in fake.recurring.values()] == ["made by hand"]


@pytest.mark.parametrize("wanted", [{"weekly": WEEKLY | {"cron": "0 0 4 * * MON"}}, {}])
def test_a_retraining_under_way_outlives_its_schedule(
    run: Run, write: Write, fake: FakeKubeflow, wanted: dict[str, Any]
) -> None:
    write({"weekly": WEEKLY})
    run("apply")
    (made,) = fake.recurring
    retraining = fake.tick(made)
    write(wanted)
    run("apply")
    assert made not in fake.recurring
    assert retraining.run_id in fake.runs


def test_schedules_beyond_the_first_page_are_seen(
    run: Run, write: Write, fake: FakeKubeflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "_PAGE", 2)
    write({f"s{number}": WEEKLY for number in range(5)})
    run("apply")
    run("apply")
    assert len(fake.recurring) == 5


def test_a_pinned_schedule_keeps_its_version_and_moves_with_the_checkout(
    run: Run, write: Write, fake: FakeKubeflow, tmp_path: Path, package: Package
) -> None:
    write({"weekly": WEEKLY})
    run("apply")
    changed = tmp_path / "changed.yaml"
    changed.write_text(package.path.read_text() + "# changed\n")
    result = run("apply", "--package", str(changed), "--revision", "two")
    assert result.stdout.startswith("replace  weekly  version")
    (made,) = fake.recurring.values()
    version = fake.versions[made.pipeline_version_reference.pipeline_version_id]
    assert version.name == "two"


def test_a_schedule_of_the_latest_version_leaves_the_choice_to_kubeflow(
    run: Run,
    write: Write,
    fake: FakeKubeflow,
    session: Session,
    environment: Environment,
    package: Package,
) -> None:
    publish(session, environment, package, "one")
    write({"weekly": WEEKLY | {"version": "latest", "parameters": {}}})
    run("apply")
    (made,) = fake.recurring.values()
    assert made.pipeline_version_reference.pipeline_id in fake.pipelines
    assert made.pipeline_version_reference.pipeline_version_id is None


def test_an_older_version_is_named_to_go_back_to_it(
    run: Run,
    write: Write,
    fake: FakeKubeflow,
    session: Session,
    environment: Environment,
    package: Package,
) -> None:
    old, _ = publish(session, environment, package, "old")
    publish(session, environment, replace(package, digest="f" * 64), "new")
    write({"weekly": WEEKLY | {"version": "old"}})
    run("apply")
    (made,) = fake.recurring.values()
    assert made.pipeline_version_reference.pipeline_version_id == old.version_id


def test_a_time_zone_is_moved_to_the_schedulers(run: Run, write: Write, fake: FakeKubeflow) -> None:
    write({"weekly": WEEKLY | {"time_zone": "Asia/Tokyo"}})
    run("apply")
    (made,) = fake.recurring.values()
    assert made.trigger.cron_schedule.cron == "0 0 18 * * 0"


def test_an_exchange_waits_for_a_tick_that_is_near(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("pipelines.kubeflow.schedules.time.sleep", waits.append)
    near = datetime.now(UTC) + timedelta(seconds=15)
    write({"weekly": WEEKLY | {"cron": f"{near:%-S %-M %-H} * * *"}})
    run("apply")
    assert not waits
    write({"weekly": WEEKLY})
    assert "waiting for weekly to start its run of" in run("apply").stdout
    assert 30 < waits[0] <= 45


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cron": "0 3 * * MON"}, "6 fields"),
        ({"time_zone": "Berlin"}, "unknown time zone"),
        ({"max_concurrency": 11}, "less than or equal to 10"),
        ({"tempo": 1}, "Extra inputs"),
    ],
)
def test_a_wrong_schedule_is_named_with_its_field(
    write: Write, file: Path, change: dict[str, Any], words: str
) -> None:
    write({"weekly": WEEKLY | change})
    with pytest.raises(UserError, match=f"schedules.weekly.*{words}"):
        read_schedules(file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parameters": {"epoch": 1}}, "no parameter 'epoch'"),
        ({"parameters": {"run_date": "2026-01-01"}}, "leave it out"),
        ({"version": "lost"}, "no version 'lost'"),
        ({"version": "latest"}, "does not fill in the moment of the tick"),
    ],
)
def test_what_the_pipeline_does_not_have_is_refused(
    run: Run,
    write: Write,
    fake: FakeKubeflow,
    session: Session,
    environment: Environment,
    package: Package,
    change: dict[str, Any],
    words: str,
) -> None:
    publish(session, environment, package, "one")
    write({"weekly": WEEKLY | change})
    assert words in str(run("apply").exception)
    assert not fake.recurring


def test_the_schedules_that_ship_are_valid() -> None:
    (weekly,) = read_schedules(remote._SCHEDULES).values()
    assert weekly.version == "pinned"
