"""What kfp.local prints, read as the states of steps."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pipelines.definition.kfp_internals import COLOR, TASK_FINISHED, TASK_STARTED

# What `components.step` looks like, indented by kfp.local; a line an epoch is for the log alone.
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
        """The step's own last words: its one-line error, or else its traceback."""
        lines = [line.strip() for line in self.output if line.strip()]
        for line in reversed(lines):
            if line.startswith("error: "):
                return line
        starts = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
        return "\n".join(lines[starts[-1] if starts else -5 :])


def follow(lines: Iterable[str], steps: list[StepRun], say: Callable[[str], None]) -> None:
    """Read the output of a run until it ends.

    Args:
        lines: what kfp.local prints.
        steps: gets the steps that are started, in order, also if reading is interrupted.
        say: told what a person wants to see of it.
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
            # Lines do not say whose they are where steps run at the same time.
            steps[max(running)].output.append(line)
            if _OF_STEP.match(line):
                say(f"  {line.strip()}")


def settle(steps: Iterable[StepRun], failed: bool) -> None:
    """Give the steps whose end was not read their state, from that of the whole run.

    Steps that run at the same time print over each other, so that a line may be lost.
    """
    for step in steps:
        if step.state == "RUNNING":
            step.state = "FAILED" if failed else "SUCCEEDED"
