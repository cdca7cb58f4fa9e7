"""Schedules on the cluster: applied, replaced while a run of theirs is under way, removed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.namespace import await_that
from tests.cluster.stand import Ended, Stand
from tests.e2e.runs import QUICK

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

OFTEN = {
    "cron": "0 */2 * * * *",
    "parameters": dict(pair.split("=") for pair in QUICK.split()),
}

Schedules = Callable[..., str]


@pytest.fixture
def schedules(stand: Stand, tmp_path: Path) -> Iterator[Schedules]:
    """Plan or apply schedules given by name; at the end there are none."""

    def run(command: str, **content: dict[str, Any]) -> str:
        file = tmp_path / "schedules.yaml"
        file.write_text(yaml.safe_dump({"schedules": content}))
        ended = stand.alsolike("schedules", command, "--file", str(file))
        assert ended.code == 0, ended.output
        return ended.output

    yield run
    run("apply")


def test_a_run_of_a_schedule_lives_on_while_the_schedule_is_replaced(
    stand: Stand, first: Ended, schedules: Schedules
) -> None:
    assert first.code == 0, first.output
    assert "create   often" in schedules("apply", often=OFTEN)
    assert "keep     often" in schedules("plan", often=OFTEN)
    await_that(stand.scheduled_runs, "the schedule has started a run")
    [run_id] = stand.scheduled_runs()
    paused = OFTEN | {"enabled": False}
    assert "sleep    often" in schedules("apply", often=paused)
    changed = paused | {"description": "Another one."}
    assert "replace  often" in schedules("apply", often=changed)
    assert "keep     often" in schedules("plan", often=changed)
    followed = stand.alsolike("follow", run_id)
    assert followed.code == 0, followed.output
    # It sleeps: although ticks have passed since, no run was started.
    assert stand.scheduled_runs() == [run_id]
    # However many ticks it slept through, it makes up for one.
    assert "wake     often" in schedules("apply", often=OFTEN | {"description": "Another one."})
    await_that(lambda: len(stand.scheduled_runs()) > 1, "the late tick has started a run", 100)
    assert "sleep    often" in schedules("apply", often=changed)
    [late] = set(stand.scheduled_runs()) - {run_id}
    assert "delete   often" in schedules("apply")
    assert stand.alsolike("follow", late).code == 0
