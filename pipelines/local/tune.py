"""The tuning pipeline on this machine."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from pipelines.compile import compile_pipeline
from pipelines.local.run import RUNS, run
from pipelines.tuning import ROUNDS, tuning_pipeline


def tune_locally(
    source: str | None,
    given: Mapping[str, Any],
    console: Console,
    runs: Path = RUNS,
    rounds: int = ROUNDS,
    docker: bool = False,
) -> dict[str, Any]:
    """Run the pipeline on this machine, as `pipelines.local.run.run` does the training pipeline.

    Returns:
        The summary. The run's folder has a page with all trials, also if a step after them fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Path(folder) / "tuning.yaml"
        compile_pipeline(pipeline, build=lambda _: tuning_pipeline(rounds))
        return run(source, given, console, runs, pipeline, docker)
