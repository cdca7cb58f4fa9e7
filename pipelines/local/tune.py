"""Run the tuning pipeline on this machine."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from pipelines.compile import compiled_package
from pipelines.local.run import RUNS, run
from pipelines.tuning import rounds_of, tuning_pipeline


def tune_locally(
    source: str | None,
    given: Mapping[str, Any],
    console: Console,
    runs: Path = RUNS,
    docker: bool = False,
) -> dict[str, Any]:
    """Run the tuning pipeline, as `pipelines.local.run.run` runs the training pipeline.

    Args:
        source: as in `run`.
        given: as in `run`, with the parameters of the search.
        console: as in `run`.
        runs: as in `run`.
        docker: as in `run`.

    Returns:
        The summary. The folder of the run has a page of all trials, even if a later step fails.

    Raises:
        ValidationError: if the settings of the search are wrong.
    """
    with compiled_package(build=partial(tuning_pipeline, rounds_of(given))) as package:
        return run(source, given, console, runs, package.path, docker)
