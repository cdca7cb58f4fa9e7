"""The whole pipeline on this machine: a real S3 server, the shipped YAML, a served answer."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console

from components import images
from components.artifacts.bundles import open_store
from components.artifacts.model import Model
from components.deploy.server import serving
from components.errors import UserError
from components.processes import child_process
from pipelines.definition.package import SHIPPED, Package, read_package
from pipelines.definition.parameters import check_settings
from pipelines.local import containers
from pipelines.local.index import write_index
from pipelines.local.object_store import direct_loopback, serve_object_store
from pipelines.local.progress import StepRun, read_steps, settle
from pipelines.local.source import sample, upload
from pipelines.local.spark import serve_spark
from pipelines.local.summary import (
    LOG,
    REPORT,
    SUMMARY,
    TRIALS,
    Answer,
    chosen_models,
    show,
    summarize,
)

RUNS = Path("runs")
ENDPOINT = RUNS / "endpoint"

# Pages that are copied to the folder of the run, with the step and the output that they are from.
_PAGES = {REPORT: ("evaluate", "report"), TRIALS: ("conclude", "report")}
_BUCKETS = {"source": "ratings", "products_source": "products"}
# The name of a run's folder: the moment when it started.
_NAME = "%Y-%m-%dT%H-%M-%S.%f"
# Parameters that name a folder, unless they are an s3:// URI.
_LOCATIONS = ("destination", "warm_start", "checkpoints")
_SERVER_SECONDS = 60
_LISTED = 10


class StepFailed(Exception):  # noqa: N818 - the word is the state
    """A step of the run failed; the message is that of the step."""


@dataclass(frozen=True)
class _Run:
    """A run on this machine.

    Attributes:
        package: the pipeline.
        parameters: the parameters of the pipeline, by name.
        source: where the ratings come from, as the user wrote it.
        folder: the folder for the results of the run.
        environment: the environment variables by which steps reach the source.
        containers: the id of the run, as the label of its containers; empty without containers.
    """

    package: Package
    parameters: dict[str, Any]
    source: str
    folder: Path
    environment: dict[str, str]
    containers: str


def run(
    source: str | None,
    given: Mapping[str, Any],
    console: Console,
    runs: Path = RUNS,
    pipeline: Path = SHIPPED,
    docker: bool = False,
) -> dict[str, Any]:
    """Run the pipeline and ask the deployed server.

    Args:
        source: a file, a folder or an `s3://` URI of ratings; None for generated ratings.
        given: pipeline parameters by name, as text or typed; `products_source` may be a file or a
            folder too.
        console: where to print the progress.
        runs: the folder of all runs; `latest` in it is the one that ended last.
        pipeline: the compiled YAML of the training pipeline, or of one that ends with it.
        docker: whether to run each step, and the server, in its image.

    Returns:
        The summary. Once the run has a folder, however it ends, the summary is also written to
        `summary.json` there, with `error` if something failed.

    Raises:
        UserError: if a parameter, the source, the folder of all runs or the Docker engine cannot
            be used.
        StepFailed: if a step fails.
    """
    package = read_package(pipeline)
    parameters = _checked_parameters(package, given, runs)
    products = given.get("products_source", "")
    needed = {*package.images(), images.SERVE}
    with (
        containers.run_of_containers(needed) if docker else nullcontext("") as run_id,
        _writable(runs),
        _reachable(source, products, runs) as (uris, reached),
        _engine(parameters, reached, docker) as environment,
        _new_run(runs) as folder,
    ):
        console.out(f"Run      {folder}", highlight=False)
        given_source = source or "generated ratings"
        this = _Run(package, parameters | uris, given_source, folder, environment, run_id)
        summary = _carry_out(this, console)
    show(summary, console)
    if summary["error"]:
        raise StepFailed(summary["error"]["message"])
    return summary


def _carry_out(this: _Run, console: Console) -> dict[str, Any]:
    """Execute a run, ask the deployed server, and write the summary however it ends."""
    steps: list[StepRun] = []
    answer, error = None, None
    try:
        _execute(this, steps, console)
        error = _failure(steps)
        answer = _ask(this) if _is_deployed(steps) else None
    except BaseException as failure:
        interrupted = isinstance(failure, KeyboardInterrupt)
        words = "interrupted" if interrupted else str(failure) or type(failure).__name__
        error = _failure(steps, words)
        raise
    finally:
        summary = _conclude(this, steps, answer, error)
    return summary


def _checked_parameters(package: Package, given: Mapping[str, Any], runs: Path) -> dict[str, Any]:
    """The parameters of a run, checked before anything starts; sources get their URIs later.

    Args:
        package: the pipeline.
        given: parameters by name.
        runs: the folder of all runs, which has the endpoint unless `destination` is given.
    """
    defaults = {"destination": str(runs / ENDPOINT.name)}
    later = {"source": "", **({"products_source": ""} if given.get("products_source") else {})}
    parameters = package.parameters(_from_here({**defaults, **given}) | later)
    check_settings(parameters)
    return parameters


def _from_here(given: Mapping[str, Any]) -> dict[str, Any]:
    """Make paths absolute, because every step has another working directory."""
    return {
        name: str(Path(value).resolve())
        if name in _LOCATIONS and value and "://" not in str(value)
        else value
        for name, value in given.items()
    }


@contextmanager
def _writable(runs: Path) -> Iterator[None]:
    """Create the folder of all runs, and check that it can be written to."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".try-", dir=runs):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write to {runs.resolve()} ({error.strerror}): choose another folder by --runs "
            f"or make run RUNS=…"
        ) from None
    yield


def _is_deployed(steps: list[StepRun]) -> bool:
    return any(step.name == "deploy" and step.state == "SUCCEEDED" for step in steps)


def _failure(steps: list[StepRun], message: str = "") -> dict[str, Any] | None:
    """The step that failed, or that was running during another failure, and the message."""
    ended = next((step for step in steps if step.state != "SUCCEEDED"), None)
    if message:
        return {"step": ended.name if ended else None, "message": message}
    return {"step": ended.name, "message": ended.error} if ended else None


@contextmanager
def _new_run(runs: Path) -> Iterator[Path]:
    """Create the folder of a new run; an interrupt gets a note where the log is."""
    folder = runs.resolve() / datetime.now(UTC).strftime(_NAME)
    folder.mkdir(parents=True)
    try:
        yield folder
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"what the steps printed is in {folder / LOG}")
        raise


def _make_latest(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".latest-", dir=folder.parent) as aside:
        link = Path(aside) / "latest"
        link.symlink_to(folder.name)
        link.replace(folder.parent / "latest")


@contextmanager
def _reachable(
    source: str | None, products: str, runs: Path
) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """The `s3://` URIs of the sources by parameter, and the environment variables to reach them.

    Raises:
        UserError: if a source does not exist, or only one of two is in S3.
    """
    given = {"source": source or str(sample(runs / "sample"))}
    given |= {"products_source": products} if products else {}
    in_s3 = {place.startswith("s3://") for place in given.values()}
    if len(in_s3) > 1:
        raise UserError(
            "source and products_source must both be in S3 or both here: copy one of them"
        )
    if True in in_s3:
        yield given, direct_loopback(os.environ)
        return
    with serve_object_store() as store:
        uris = {name: upload(Path(place), store, _BUCKETS[name]) for name, place in given.items()}
        yield uris, store.environment


@contextmanager
def _engine(
    parameters: Mapping[str, Any], environment: dict[str, str], docker: bool
) -> Iterator[dict[str, str]]:
    """The variables of a step, with those by which it reaches Spark if the run is to use it.

    Args:
        parameters: of the pipeline, by name.
        environment: the variables by which a step, and an executor, reaches the sources.
        docker: whether steps run in containers.

    Raises:
        UserError: if they do and are to use Spark, or Spark cannot be started.
    """
    if parameters.get("engine") != "spark":
        yield environment
        return
    if docker:
        raise UserError("engine=spark runs on this machine without containers: leave --docker out")
    with serve_spark(environment) as cluster:
        yield environment | cluster.environment


def _execute(this: _Run, steps: list[StepRun], console: Console) -> None:
    """Run the pipeline in a process of its own, and write its output to `log.txt`."""
    folder = this.folder
    _write_json(folder / "parameters.json", this.parameters)
    shutil.copy(this.package.path, folder / "pipeline.yaml")
    command: list[str | Path] = [
        *(sys.executable, "-m", "pipelines.local.execute"),
        *(folder / "pipeline.yaml", folder / "parameters.json", folder / "artifacts"),
        *([this.containers] if this.containers else []),
    ]
    surroundings = {**os.environ, **this.environment, "PYTHONUNBUFFERED": "1"}
    with (
        (folder / LOG).open("w") as log,
        # kfp.local never removes its temporary folders with the sources of steps.
        tempfile.TemporaryDirectory(prefix="alsolike-") as scratch,
        child_process(
            command,
            output=subprocess.PIPE,
            environment=surroundings | {"TMPDIR": scratch},
            folder=folder,
        ) as process,
    ):

        def lines() -> Iterator[str]:
            assert process.stdout is not None
            for raw in process.stdout:
                line = raw.decode(errors="replace")
                log.write(line)
                yield line

        read_steps(lines(), steps, partial(console.out, highlight=False))
        failed = process.wait() != 0
        settle(steps, failed)
        if failed and all(step.state == "SUCCEEDED" for step in steps):
            log.flush()
            tail = (folder / LOG).read_text().strip().rpartition("\n")[2]
            raise StepFailed(f"the pipeline did not run: {tail} (see {folder / LOG})")


def _conclude(
    this: _Run,
    steps: list[StepRun],
    answer: Answer | None,
    error: dict[str, Any] | None,
) -> dict[str, Any]:
    """Write the summary of a run, link it as `latest`, and return it.

    Args:
        this: the run.
        steps: the steps that were started.
        answer: the answer of the server, if the model was deployed.
        error: the step that failed and the message, if there is an error.
    """
    settle(steps, failed=error is not None)
    started = {step.name for step in steps}
    skipped = [name for name in this.package.steps() if name not in started]
    for name, made_by in _PAGES.items():
        if page := _output(this.folder, *made_by):
            shutil.copy(page, this.folder / name)
    verdict = _output(this.folder, "evaluate", "verdict")
    summary = {
        "folder": str(this.folder),
        "source": this.source,
        "started": f"{datetime.strptime(this.folder.name, _NAME):%Y-%m-%dT%H:%M:%SZ}",
        "destination": this.parameters["destination"],
        "models": chosen_models(_output(this.folder, "train", "model")),
        **summarize(this.folder, steps, skipped, verdict, answer),
        "endpoint": {
            "checked": answer is not None,
            "version": _deployed_version(this) if answer else None,
        },
        "error": error,
    }
    _write_json(this.folder / SUMMARY, summary)
    _make_latest(this.folder)
    write_index(this.folder.parent)
    return summary


def _output(folder: Path, step: str, name: str) -> Path | None:
    """The path of a step's output, or None if it does not exist."""
    return next(iter((folder / "artifacts").glob(f"*/{step}/{name}")), None)


def _deployed_version(this: _Run) -> str:
    endpoint = _output(this.folder, "deploy", "endpoint")
    assert endpoint is not None
    version: str = json.loads((endpoint / "endpoint.json").read_text())["version"]
    return version


def _ask(this: _Run) -> Answer:
    """Serve the version that this run deployed and ask it for recommendations."""
    version = _deployed_version(this)
    store = open_store(str(this.parameters["destination"]))
    serve = partial(containers.serving, this.containers) if this.containers else serving
    with tempfile.TemporaryDirectory(prefix="alsolike-") as work, _variables(this.environment):
        bundle = store.fetch(version, Path(work))
        model = Model.load(bundle)
        user = _someone(model)
        customer = model.catalogue.customers[user]
        with serve(bundle, _SERVER_SECONDS) as ask:
            found = ask(f"/recommend/{quote(customer, safe='')}?n={_LISTED}", None)
        return Answer(customer, _liked(model, user), found["recommendations"])


@contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[None]:
    """The environment variables, set while the block lasts."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _someone(model: Model) -> int:
    """The customer whose number of rated products is nearest to the length of a list."""
    lengths = model.seen.offsets[1:] - model.seen.offsets[:-1]
    return int((abs(lengths - _LISTED)).argmin())


def _liked(model: Model, user: int) -> list[str]:
    """The titles of the products that a customer rated best, the newest first."""
    items, stars = model.seen.of(user)
    best = [
        item for item, star in zip(items[::-1], stars[::-1], strict=True) if star == stars.max()
    ]
    catalogue = model.catalogue
    return [catalogue.titles[item] or catalogue.products[item] for item in best[:_LISTED]]


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=1) + "\n")
