"""The whole pipeline from a shell, as a newcomer runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALSOLIKE = Path(sys.executable).with_name("alsolike")
QUICK = "ranking_model=ridge ranking_dimensions=32 ranking_recency=0.8 rating_model=bayes epochs=6"
STEPS = {"resolve", "ingest", "prepare", "train", "evaluate", "deploy", "notify"}


@dataclass(frozen=True)
class Run:
    """A finished `alsolike run`.

    Attributes:
        folder: where it ran.
        code: its exit code.
        output: all that it printed. errors: likewise, to stderr.
    """

    folder: Path
    code: int
    output: str
    errors: str

    @property
    def summary(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(
            (self.folder / "runs" / "latest" / "summary.json").read_text()
        )
        return content


def run(
    folder: Path,
    source: str,
    params: str = QUICK,
    *options: str,
    environment: dict[str, str] | None = None,
) -> Run:
    """Run the pipeline to its end, with the variables of `environment` for AWS's."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    ended = subprocess.run(
        [ALSOLIKE, "run", "--source", source, "--params", params, *options],
        cwd=folder,
        env=plain | (environment or {"AWS_EC2_METADATA_DISABLED": "true"}),
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    return Run(folder, ended.returncode, ended.stdout, ended.stderr)


def interrupt(folder: Path, source: Path, number: signal.Signals, until: str, *options: str) -> str:
    """Start a run, and signal it as the step `until` begins; none: within its first second.

    Returns:
        All that it printed.
    """
    with subprocess.Popen(
        [ALSOLIKE, "run", "--source", source, "--params", QUICK, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = []
        if until:
            for line in process.stdout:
                printed.append(line)
                if line.strip() == until:
                    break
            else:
                raise AssertionError("".join(["never came to ", until, ":\n", *printed]))
        else:
            time.sleep(1)
        process.send_signal(number)
        try:
            assert process.wait(120) == 130
        finally:
            process.kill()
        return "".join([*printed, *process.stdout])
