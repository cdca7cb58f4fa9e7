"""An installation of Kubeflow as a user of `alsolike` has it, for the tests alone."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.artifacts.bundles import current_version, open_store
from components.processes import child_process
from pipelines.definition.environment import load_environment
from pipelines.kubeflow.client import connect
from pipelines.kubeflow.submit import find_experiment
from tests.cluster.namespace import Namespace, await_that
from tests.e2e.runs import ALSOLIKE, QUICK

SERVICE = {"kserve": "recommender-predictor", "kubernetes": "recommender"}
"""The Service that leads to the endpoint, by target."""

_RUN_SECONDS = 1200


@dataclass(frozen=True)
class Ended:
    """A command that ended.

    Attributes:
        code: its exit status. output: all that it printed, errors included.
    """

    code: int
    output: str

    @property
    def run_id(self) -> str:
        """The run that the command told of."""
        found = re.search(r"/runs/details/(\S+)", self.output)
        assert found, self.output
        return found[1]


@dataclass(frozen=True)
class Stand:
    """The environment of the tests, and what it looks like from outside.

    Attributes:
        content: the environment file's. folder: where files of the tests lie.
        namespace: of the runs, and of the endpoint. told: what was posted to the webhook so far.
    """

    content: Mapping[str, Any]
    folder: Path
    namespace: Namespace
    told: Callable[[], list[dict[str, str]]]

    def alsolike(self, *arguments: str, **changes: Any) -> Ended:
        """Run the command on this environment, with some of its settings changed."""
        ended = subprocess.run(
            [ALSOLIKE, *arguments],
            env=self._variables(changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout)

    def kill_when(self, is_time: Callable[[], object], *arguments: str) -> None:
        """Run the command, and kill it at a moment, so that it can undo nothing."""
        with child_process(
            [ALSOLIKE, *arguments],
            output=subprocess.DEVNULL,
            environment=self._variables({}),
            ending=signal.SIGKILL,
        ):
            await_that(is_time, "the moment to kill the command")

    def submit(
        self,
        *options: str,
        steps: Mapping[str, Mapping[str, object]] | None = None,
        **given: object,
    ) -> Ended:
        """Start a run that trains for seconds.

        Args:
            options: the command's own; `--wait` follows the run to its end.
            steps: other resources, by step.
            given: parameters.
        """
        known = self.content["steps"]
        changed = {step: {**known[step], **own} for step, own in (steps or {}).items()}
        return self.alsolike("submit", *options, *_given(given), steps={**known, **changed})

    def outcome_of(self, run_id: str) -> dict[str, str]:
        """What the webhook was told of a run."""
        [outcome] = [told for told in self.told() if run_id in told["link"]]
        return outcome

    def scheduled_runs(self) -> list[str]:
        """The ids of the runs that schedules have started."""
        with connect(load_environment(str(self._file({}))).kubeflow) as session:
            experiment = find_experiment(session)
            runs = session.client.list_runs(experiment_id=experiment, page_size=100).runs
        return [run.run_id for run in runs or [] if run.recurring_run_id]

    def current(self) -> str | None:
        """The version that the bundle store says is deployed."""
        return current_version(open_store(self.content["parameters"]["destination"]))

    def served(self, target: str) -> list[str]:
        """The versions that the endpoint says it serves."""
        versions: list[str] = self.namespace.ask(SERVICE[target], "/v2/models/recommender")[
            "versions"
        ]
        return versions

    def _variables(self, changes: Mapping[str, Any]) -> dict[str, str]:
        """The variables of a command on this environment."""
        return os.environ | {"ALSOLIKE_ENVIRONMENT": str(self._file(changes))}

    def _file(self, changes: Mapping[str, Any]) -> Path:
        """The environment file, with some of its settings changed."""
        file = self.folder / "environment.yaml"
        file.write_text(yaml.safe_dump({**self.content, **changes}))
        return file


def _given(parameters: Mapping[str, object]) -> list[str]:
    assignments = [*QUICK.split(), *(f"{name}={value}" for name, value in parameters.items())]
    return [part for assignment in assignments for part in ("--param", assignment)]
