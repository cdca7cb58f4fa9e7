"""Start a run of the pipeline on Kubeflow, and follow it to its end."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kfp_server_api import GoogleRpcStatus, V2beta1Run

from components.errors import UserError
from pipelines.definition.environment import Environment
from pipelines.definition.package import Package
from pipelines.kubeflow.client import CredentialsError, Session
from pipelines.kubeflow.versions import find_version, named, publish

_POLL_SECONDS = 5.0
_ENDS = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_NOT_YET = (None, "RUNTIME_STATE_UNSPECIFIED")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Submission:
    """A run of the pipeline that is to be started.

    Attributes:
        session: the client.
        environment: has the pipeline and the experiment.
        package: the pipeline.
        revision: the name of a new version.
        parameters: of the run, by name.
    """

    session: Session
    environment: Environment
    package: Package
    revision: str
    parameters: Mapping[str, Any]

    def preview(self, say: Say) -> None:
        """Print what `start` would do, and change nothing on Kubeflow."""
        existing = find_version(self.session, self.environment, self.package)
        new = f"{self.revision} (to be uploaded)"
        say(f"version      {f'{existing.name} (uploaded before)' if existing else new}")
        say(f"pipeline     {self.environment.pipeline}")
        say(f"experiment   {self.environment.kubeflow.experiment}")
        for name, value in self.parameters.items():
            say(f"parameter    {name}={value}")

    def start(self, say: Say) -> str:
        """Upload the package, unless it has been uploaded before, and start a run.

        Returns:
            The id of the run.
        """
        session = self.session
        version, uploaded = publish(session, self.environment, self.package, self.revision)
        say(f"version  {version.name} ({'uploaded' if uploaded else 'unchanged, uploaded before'})")
        experiment_id = ensure_experiment(session)
        kind = self.package.pipeline.pipeline_info.name.removeprefix("alsolike-")
        name = f"{kind}-{self.revision}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        run = session.create(
            f"start the run {name}",
            make=partial(
                session.client.run_pipeline,
                experiment_id,
                name,
                params=dict(self.parameters),
                pipeline_id=version.pipeline_id,
                version_id=version.version_id,
                pipeline_root=self.environment.pipeline_root,
                service_account=session.settings.service_account,
            ),
            find=partial(_find_run, session, experiment_id, name),
        )
        say(f"run      {name}")
        say(f"page     {session.run_url(run.run_id)}")
        return str(run.run_id)


def follow(session: Session, run_id: str, package: Package, say: Say) -> bool:
    """Print each change of a step's state until the run ends.

    Args:
        session: the client.
        run_id: the id of the run.
        package: the pipeline of the run.
        say: prints a line.

    Returns:
        Whether the run succeeded.

    Raises:
        UserError: if the API stops answering; the run itself continues.
    """
    shown: dict[str, str] = {}
    while True:
        try:
            run = _look_at(session, run_id)
        except UserError as error:
            raise UserError(
                f"{error}; the run itself continues: {session.run_url(run_id)}"
            ) from None
        for step, state, reason in _step_states(run, package):
            if shown.get(step) != state:
                shown[step] = state
                say(f"{datetime.now():%H:%M:%S} {step:<10} {state.lower()}{reason}")
        if run.state in _ENDS:
            say(f"the run {run.state.lower()}{_reason(run.error)}")
            return bool(run.state == "SUCCEEDED")
        time.sleep(_POLL_SECONDS)


def _look_at(session: Session, run_id: str) -> V2beta1Run:
    """The current state of a run."""
    look = partial(session.ask, "look at the run", partial(session.client.get_run, run_id))
    try:
        return look()
    except CredentialsError:
        # Kubeflow refuses all tokens while Kubernetes does not answer it, so try once more.
        time.sleep(_POLL_SECONDS)
        return look()


def find_experiment(session: Session) -> str | None:
    """The id of the environment's experiment, or None if it does not exist."""
    found = session.ask(
        "list the experiments",
        partial(
            session.client.list_experiments,
            namespace=session.settings.profile,
            filter=named(session.settings.experiment),
        ),
    ).experiments
    return found[0].experiment_id if found else None


def ensure_experiment(session: Session) -> str:
    """The id of the environment's experiment, which is created if it does not exist."""
    name = session.settings.experiment
    client, profile = session.client, session.settings.profile
    return find_experiment(session) or session.create(
        f"create the experiment {name}",
        make=lambda: str(client.create_experiment(name, namespace=profile).experiment_id),
        find=partial(find_experiment, session),
    )


def _find_run(session: Session, experiment_id: str, name: str) -> V2beta1Run | None:
    listed = partial(session.client.list_runs, experiment_id=experiment_id, filter=named(name))
    found = session.ask("list the runs", listed).runs
    return found[0] if found else None


def _step_states(run: V2beta1Run, package: Package) -> Iterator[tuple[str, str, str]]:
    """Name, state and reason of each step that has started, without drivers and DAGs."""
    steps = package.steps()
    names = {name: name for name in steps} | {s.task_info.name: n for n, s in steps.items()}
    details = run.run_details.task_details if run.run_details else None
    for task in details or []:
        if task.display_name in names and task.state not in _NOT_YET:
            yield names[task.display_name], task.state, _reason(task.error)


def _reason(error: GoogleRpcStatus | None) -> str:
    return f": {' '.join(error.message.split())}" if error and error.message else ""
