"""Schedules as code: show and apply the difference between schedules.yaml and Kubeflow.

A schedule on Kubeflow cannot be edited, so a changed one is replaced: a disabled copy is created,
the old one is disabled, the copy is enabled, and the old one is deleted. A tick while both are
disabled is not lost, because an enabled schedule makes up for the latest tick since it was created.
A tick while the copy is being created would start two runs, so a replacement waits until no tick is
near.
"""

import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from kfp_server_api import (
    RecurringRunMode,
    V2beta1CronSchedule,
    V2beta1RuntimeConfig,
    V2beta1Trigger,
)
from kfp_server_api import V2beta1PipelineVersionReference as Reference
from kfp_server_api import V2beta1RecurringRun as RecurringRun
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from components.errors import UserError
from components.step import describe_invalid
from pipelines.definition.environment import Environment, Parameter, TimeZone
from pipelines.definition.package import Package
from pipelines.definition.parameters import check_settings
from pipelines.kubeflow.client import Session
from pipelines.kubeflow.cron import check_cron, move_cron, next_time
from pipelines.kubeflow.release import read_release, require_accounts_of_schedules
from pipelines.kubeflow.submit import find_experiment
from pipelines.kubeflow.versions import Version, find_pipeline, find_version_named

MARK = "Kept by alsolike schedules: change the file, not this."

_PAGE = 100
_QUIET = timedelta(seconds=30)
_SCHEDULED_TIME = "[[ScheduledTime]]"  # Kubeflow replaces it by the time of the tick
_SOME_DAY = "2000-01-01"  # in its place, to check the other parameters

Say = Callable[[str], None]


class Schedule(BaseModel, frozen=True, extra="forbid"):
    """A retraining that Kubeflow starts by itself."""

    description: str = Field(default="", description="what it is for, shown in the UI")
    cron: Annotated[str, AfterValidator(check_cron)] = Field(
        description="second minute hour day-of-month month day-of-week"
    )
    time_zone: TimeZone = Field(default="UTC", description="time zone of the expression")
    version: str = Field(
        default="pinned",
        min_length=1,
        description="pinned: this checkout's; latest: whatever was uploaded last; or a name",
    )
    max_concurrency: int = Field(default=1, ge=1, le=10, description="runs at the same time")
    catch_up: bool = Field(
        default=False, description="whether to run for every missed tick, or for the latest only"
    )
    enabled: bool = Field(default=True, description="whether it starts runs")
    parameters: dict[str, Parameter] = Field(
        default={}, description="parameters of the pipeline, run_date excepted"
    )


class Schedules(BaseModel, frozen=True, extra="forbid"):
    """The file."""

    schedules: dict[str, Schedule]


@dataclass(frozen=True)
class Change:
    """The change to the schedules of one name."""

    kind: Literal["create", "replace", "wake", "sleep", "tidy", "delete", "keep"]
    name: str
    wanted: RecurringRun | None
    copies: tuple[RecurringRun, ...]
    """The schedules of this name on Kubeflow; several if a replacement was interrupted."""
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind:<8} {self.name}  {'; '.join(self.reasons)}".rstrip()


def read_schedules(path: Path) -> dict[str, Schedule]:
    """Read the schedules of a file, by name.

    Raises:
        UserError: if it is missing or does not validate.
    """
    try:
        return Schedules.model_validate(yaml.safe_load(path.read_text())).schedules
    except FileNotFoundError:
        raise UserError(f"there is no {path}: write one, or give --file") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise UserError(f"{path}: {describe_invalid(error)}") from None


def plan(
    session: Session,
    environment: Environment,
    package: Package,
    schedules: Mapping[str, Schedule],
    pinned: Version | None,
) -> list[Change]:
    """Compare the file with the schedules of the environment's experiment.

    Args:
        session: the client.
        environment: has the pipeline, the experiment and defaults of parameters.
        package: the pipeline of this checkout, to check the parameters against.
        schedules: the content of the file.
        pinned: the version with the content of the package; None if it is not uploaded yet.

    Raises:
        UserError: if the version, a parameter or the time of a schedule is not possible, or
            Kubeflow is too old for the account of the runs.
    """
    if environment.kubeflow.service_account:
        require_accounts_of_schedules(read_release(session))
    stated = {schedule.version for schedule in schedules.values()}
    versions = {name: _resolve(session, environment, name, pinned) for name in stated}
    wanted = wanted_runs(schedules, environment, package, versions, datetime.now(UTC))
    experiment_id = find_experiment(session)
    existing = list_recurring_runs(session, experiment_id) if experiment_id else []
    return plan_changes(wanted, existing)


def wanted_runs(
    schedules: Mapping[str, Schedule],
    environment: Environment,
    package: Package,
    references: Mapping[str, Reference],
    now: datetime,
) -> dict[str, RecurringRun]:
    """The schedules in the form of Kubeflow, by name.

    Args:
        schedules: the content of the file.
        environment: has parameters, the account, and the scheduler's time zone.
        package: the pipeline, to check the parameters against.
        references: the pipeline version of each `version` in the schedules.
        now: the time at which the difference between time zones is taken.

    Raises:
        UserError: if a parameter does not exist, or an expression cannot be moved between zones.
    """
    zone = ZoneInfo(environment.kubeflow.scheduler_time_zone)
    return {
        name: RecurringRun(
            display_name=name,
            description=f"{MARK} {schedule.description}".strip(),
            namespace=environment.kubeflow.profile,
            service_account=environment.kubeflow.service_account,
            max_concurrency=str(schedule.max_concurrency),
            no_catchup=not schedule.catch_up,
            mode=RecurringRunMode.ENABLE if schedule.enabled else RecurringRunMode.DISABLE,
            trigger=V2beta1Trigger(
                cron_schedule=V2beta1CronSchedule(
                    cron=move_cron(schedule.cron, ZoneInfo(schedule.time_zone), zone, now)
                )
            ),
            pipeline_version_reference=references[schedule.version],
            runtime_config=V2beta1RuntimeConfig(
                parameters=_parameters(name, schedule, environment, package),
                pipeline_root=environment.pipeline_root,
            ),
        )
        for name, schedule in schedules.items()
    }


def plan_changes(wanted: Mapping[str, RecurringRun], existing: list[RecurringRun]) -> list[Change]:
    """The changes to Kubeflow's schedules; those that were not made by this command are kept."""
    ours = [run for run in existing if MARK in (run.description or "")]
    names = sorted(wanted.keys() | {run.display_name for run in ours})
    return [
        _plan(name, wanted.get(name), tuple(run for run in ours if run.display_name == name))
        for name in names
    ]


def apply_change(session: Session, experiment_id: str, change: Change, say: Say) -> None:
    """Apply a change; if it is interrupted, the next plan completes it.

    Args:
        session: the client.
        experiment_id: the experiment of the schedules.
        change: the change.
        say: prints a line when it waits.

    Raises:
        UserError: if Kubeflow refuses.
    """
    wanted = change.wanted
    keep = _best(wanted, change.copies) if wanted else None
    if wanted and keep is None:
        _await_quiet(session, change, say)
        keep = _create_asleep(session, experiment_id, wanted, change.copies)
    others = [run for run in change.copies if run is not keep]
    for run in filter(_awake, others):
        _switch(session, run, awake=False)
    if wanted and keep and _awake(keep) != _awake(wanted):
        _switch(session, keep, awake=_awake(wanted))
    for run in others:
        _delete(session, experiment_id, run)


def list_recurring_runs(session: Session, experiment_id: str) -> list[RecurringRun]:
    """Every schedule of the experiment."""
    found: list[RecurringRun] = []
    token = ""
    while True:
        page = session.ask(
            "list the schedules",
            partial(
                session.client.list_recurring_runs,
                page_token=token,
                page_size=_PAGE,
                experiment_id=experiment_id,
            ),
        )
        found += page.recurring_runs or []
        token = page.next_page_token
        if not token:
            return found


def _resolve(
    session: Session, environment: Environment, version: str, pinned: Version | None
) -> Reference:
    if version == "pinned":
        new = Reference(pipeline_id="new", pipeline_version_id="new")
        return Reference(pinned.pipeline_id, pinned.version_id) if pinned else new
    pipeline = find_pipeline(session, environment)
    if pipeline is None:
        raise UserError(f"Kubeflow has no pipeline {environment.pipeline} yet: submit it first")
    if version == "latest":
        return Reference(pipeline.pipeline_id)
    found = find_version_named(session, environment, version)
    if found is None:
        raise UserError(f"the pipeline has no version {version!r}: see its page for the names")
    return Reference(found.pipeline_id, found.version_id)


def _parameters(
    name: str, schedule: Schedule, environment: Environment, package: Package
) -> dict[str, Any]:
    if "run_date" in schedule.parameters:
        raise UserError(f"schedule {name} sets run_date: leave it out, each tick is its own date")
    values = environment.parameters | schedule.parameters
    # A date that is not needed would only prevent Kubeflow from using its cache.
    is_dated = bool(values.get("window_days"))
    if is_dated and schedule.version == "latest":
        raise UserError(
            f"schedule {name} has window_days and version: latest, for which Kubeflow does not "
            f"fill in the moment of the tick: set version: pinned, or the name of a version"
        )
    typed = package.parameters(values | ({"run_date": _SOME_DAY} if is_dated else {}))
    check_settings(typed)
    return typed | ({"run_date": _SCHEDULED_TIME} if is_dated else {})


def _plan(name: str, wanted: RecurringRun | None, copies: tuple[RecurringRun, ...]) -> Change:
    if wanted is None:
        return Change("delete", name, None, copies)
    if not copies:
        return Change("create", name, wanted, copies, (f"cron {_facets(wanted)['cron']}",))
    best = _best(wanted, copies)
    if best is None:
        return Change("replace", name, wanted, copies, _differences(wanted, copies[0]))
    if _awake(best) != _awake(wanted):
        return Change("wake" if _awake(wanted) else "sleep", name, wanted, copies)
    if len(copies) > 1:
        return Change("tidy", name, wanted, copies, (f"{len(copies)} copies",))
    return Change("keep", name, wanted, copies)


def _best(wanted: RecurringRun, copies: tuple[RecurringRun, ...]) -> RecurringRun | None:
    """The copy that equals the wanted schedule; among several, one that is enabled."""
    same = [run for run in copies if not _differences(wanted, run)]
    return max(same, key=_awake, default=None)


def _facets(run: RecurringRun) -> dict[str, Any]:
    return {
        "cron": run.trigger.cron_schedule.cron if run.trigger.cron_schedule else None,
        "version": run.pipeline_version_reference.pipeline_version_id or "latest",
        "parameters": run.runtime_config.parameters or {},
        "pipeline_root": run.runtime_config.pipeline_root or "",
        "max_concurrency": int(run.max_concurrency),
        "catch_up": not run.no_catchup,
        "service_account": run.service_account,
        "description": run.description,
    }


def _differences(wanted: RecurringRun, run: RecurringRun) -> tuple[str, ...]:
    ours, theirs = _facets(wanted), _facets(run)
    if wanted.service_account is None:  # then Kubeflow fills in its own
        del ours["service_account"]
    return tuple(
        f"{facet} {theirs[facet]} -> {value}"
        for facet, value in ours.items()
        if value != theirs[facet]
    )


def _awake(run: RecurringRun) -> bool:
    if run.status:  # only schedules from Kubeflow have a status
        return bool(run.status == "ENABLED")
    return bool(run.mode == RecurringRunMode.ENABLE)


def _await_quiet(session: Session, change: Change, say: Say) -> None:
    """Wait until no tick is near, so that a replacement neither repeats nor misses one."""
    zone = ZoneInfo(session.settings.scheduler_time_zone)
    now = datetime.now(UTC)
    awake = [run for run in change.copies if _awake(run) and run.trigger.cron_schedule]
    ticks = [next_time(run.trigger.cron_schedule.cron, zone, now) for run in awake]
    if ticks and min(ticks) - now < _QUIET:
        say(f"waiting for {change.name} to start its run of {min(ticks):%H:%M:%S %Z}")
        time.sleep((min(ticks) - now + _QUIET).total_seconds())


def _create_asleep(
    session: Session, experiment_id: str, wanted: RecurringRun, copies: tuple[RecurringRun, ...]
) -> RecurringRun:
    body = copy(wanted)
    body.experiment_id, body.mode = experiment_id, RecurringRunMode.DISABLE
    known = {run.recurring_run_id for run in copies}
    # The client's own create_recurring_run cannot leave the version to the server.
    recurring_runs = session.client.recurring_runs
    make = partial(recurring_runs.recurring_run_service_create_recurring_run, recurring_run=body)

    def find() -> RecurringRun | None:
        runs = list_recurring_runs(session, experiment_id)
        new = [run for run in runs if run.recurring_run_id not in known]
        return next((run for run in new if run.display_name == wanted.display_name), None)

    return session.create(f"create the schedule {wanted.display_name}", make, find)


def _switch(session: Session, run: RecurringRun, *, awake: bool) -> None:
    client = session.client
    change = client.enable_recurring_run if awake else client.disable_recurring_run
    what = f"{'wake' if awake else 'put to sleep'} the schedule {run.display_name}"
    session.ask(what, partial(change, run.recurring_run_id))


def _delete(session: Session, experiment_id: str, run: RecurringRun) -> None:
    def gone() -> bool | None:
        left = list_recurring_runs(session, experiment_id)
        return None if run.recurring_run_id in {r.recurring_run_id for r in left} else True

    # Without this policy Kubeflow also deletes the runs that the schedule has started, even those
    # that are still running. The client's own delete_recurring_run has no such option.
    recurring_runs = session.client.recurring_runs
    delete = partial(
        recurring_runs.recurring_run_service_delete_recurring_run,
        run.recurring_run_id,
        propagation_policy="ORPHAN",
    )
    session.create(f"delete the schedule {run.display_name}", delete, gone)
