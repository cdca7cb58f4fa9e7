"""Read the states of steps from the log of kfp.local."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pipelines.definition.kfp_internals import COLOR, TASK_FINISHED, TASK_STARTED

# A line that `components.step` logs, indented by kfp.local, except one for each epoch.
_OF_STEP = re.compile(r"\s*\d\d:\d\d:\d\d \w+: (?!Wrote executor output|.*: step \d+, )")
_STATES = {"SUCCESS": "SUCCEEDED", "FAILURE": "FAILED"}


@dataclass
class StepRun:
    """One step of a run.

    Attributes:
        name: the step's name.
        state: RUNNING, SUCCEEDED or FAILED.
        seconds: from start to end.
        output: the lines that it printed.
    """

    name: str
    state: str = "RUNNING"
    seconds: float = 0.0
    output: list[str] = field(default_factory=list)

    @property
    def error(self) -> str:
        """The error of the step: its one-line message, or its traceback."""
        lines = [line.strip() for line in self.output if line.strip()]
        for line in reversed(lines):
            if line.startswith("error: "):
                return line
        starts = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
        return "\n".join(lines[starts[-1] if starts else -5 :])


def read_steps(lines: Iterable[str], steps: list[StepRun], say: Callable[[str], None]) -> None:
    """Read the output of a run until it ends.

    Args:
        lines: the output of kfp.local.
        steps: the steps that have started are appended to it, even if reading is interrupted.
        say: prints a line for people.
    """
    running: dict[int, float] = {}
    for colored in lines:
        line = COLOR.sub("", colored).rstrip()
        ended = TASK_FINISHED.search(line)
        done = [number for number in running if ended and steps[number].name == ended[1]]
        if begun := TASK_STARTED.search(line):
            running[len(steps)] = time.monotonic()
            steps.append(StepRun(begun[1]))
            say(begun[1])
        elif ended and done:
            step = steps[done[0]]
            step.seconds = round(time.monotonic() - running.pop(done[0]), 3)
            step.state = _STATES.get(ended[2], ended[2])
        elif running:
            # If several steps run, a line does not tell which one has printed it.
            steps[max(running)].output.append(line)
            if _OF_STEP.match(line):
                say(f"  {line.strip()}")


def settle(steps: Iterable[StepRun], failed: bool) -> None:
    """Set the state of steps whose end was not read, by that of the whole run.

    Steps that run at the same time may garble each other's lines.
    """
    for step in steps:
        if step.state == "RUNNING":
            step.state = "FAILED" if failed else "SUCCEEDED"
