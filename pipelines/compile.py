"""Compile a pipeline to YAML: the same code gives the same bytes."""

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from kfp import compiler

from pipelines.definition.environment import Environment
from pipelines.definition.package import Package, read_package
from pipelines.training import training_pipeline

Build = Callable[[Environment | None], Any]
"""Returns a pipeline, with the platform settings of an environment if there is one."""


def compile_pipeline(
    output: Path, environment: Environment | None = None, build: Build = training_pipeline
) -> None:
    """Write the YAML of a pipeline, completely or not at all.

    Args:
        output: the file to write.
        environment: the cluster to compile for; None for the shipped pipeline.
        build: returns the pipeline.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        partial = Path(folder) / output.name
        # kfp prints messages of its own.
        with redirect_stdout(io.StringIO()):
            compiler.Compiler().compile(
                build(environment),
                str(partial),
                pipeline_parameters=environment.defaults() if environment else None,
            )
        partial.replace(output)


@contextmanager
def compiled_package(
    environment: Environment | None = None, build: Build = training_pipeline
) -> Iterator[Package]:
    """Compile a pipeline, and keep its file while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="alsolike-") as folder:
        file = Path(folder) / "pipeline.yaml"
        compile_pipeline(file, environment, build)
        yield read_package(file)
