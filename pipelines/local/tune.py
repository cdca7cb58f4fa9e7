"""The tuning pipeline on this machine."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from pipelines.compile import compile_pipeline
from pipelines.definition.package import Package, read_package
from pipelines.local.run import RUNS, run
from pipelines.tuning import rounds_of, tuning_pipeline


def tune_locally(
    source: str | None,
    given: Mapping[str, Any],
    console: Console,
    runs: Path = RUNS,
    docker: bool = False,
) -> dict[str, Any]:
    """Run the pipeline on this machine, as `pipelines.local.run.run` does the training pipeline.

    Returns:
        The summary. The run's folder has a page with all trials, also if a step after them fails.

    Raises:
        ValidationError: if the settings of the search are wrong.
    """
    with tuning_package(rounds_of(given)) as package:
        return run(source, given, console, runs, package.path, docker)


@contextmanager
def tuning_package(rounds: int) -> Iterator[Package]:
    """The compiled pipeline, while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="alsolike-") as folder:
        pipeline = Path(folder) / "tuning.yaml"
        compile_pipeline(pipeline, build=partial(tuning_pipeline, rounds))
        yield read_package(pipeline)
