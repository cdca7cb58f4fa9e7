"""Run the tuning pipeline on this machine."""

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
    with tuning_package(rounds_of(given)) as package:
        return run(source, given, console, runs, package.path, docker)


@contextmanager
def tuning_package(rounds: int) -> Iterator[Package]:
    """Compile the tuning pipeline, and keep the file while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="alsolike-") as folder:
        pipeline = Path(folder) / "tuning.yaml"
        compile_pipeline(pipeline, build=partial(tuning_pipeline, rounds))
        yield read_package(pipeline)
