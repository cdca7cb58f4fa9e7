"""The training pipeline: star ratings in S3 to a live recommendation endpoint.

1. resolve: find the objects of the source and their versions; never cached.
2. ingest: read the ratings of that version, and keep the rows that are not ratings apart.
3. prepare: keep one rating for each pair, filter out the long tail, hold out the latest ratings.
4. train: learn to predict stars and to rank products.
5. evaluate: compare both with baselines and the deployed model, write the report, decide.
6. deploy, if the verdict allows it: test that the bundle serves, make it current; never cached.
7. notify: report how the run ended, whether it succeeded or not.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kfp import dsl

from pipelines.definition.components import (
    deploy,
    evaluate,
    ingest,
    notify,
    prepare,
    resolve,
    train,
)
from pipelines.definition.environment import Environment
from pipelines.definition.parameters import training_parameters, with_parameters
from pipelines.definition.platform import StepName, apply_platform

Place = Callable[[dsl.PipelineTask, StepName, str], dsl.PipelineTask]
"""Sets the title of a task, and the platform settings of its step."""
Given = Mapping[str, Any]
"""The parameters of a pipeline by name, as it passes them to the steps."""


def training_pipeline(environment: Environment | None = None) -> Any:
    """The training pipeline, with the platform settings of an environment if there is one."""
    parameters = training_parameters()

    def training(*values: Any) -> None:
        given = dict(zip(parameters, values, strict=True))
        place = placing(environment)
        with told_how_it_ended(place, environment):
            ratings, splits = read_and_split(place, given)
            train_and_deploy(place, given, ratings, splits)

    return dsl.pipeline(
        name="alsolike-training",
        display_name="alsolike: train a recommender",
        description=_DESCRIPTION,
    )(with_parameters(training, _DESCRIPTION, parameters))


def placing(environment: Environment | None) -> Place:
    """The function that sets the titles of tasks, and their platform settings if there are any."""

    def place(task: dsl.PipelineTask, name: StepName, title: str) -> dsl.PipelineTask:
        if environment is not None:
            apply_platform(task, name, environment)
        return task.set_display_name(title)

    return place


@contextmanager
def told_how_it_ended(place: Place, environment: Environment | None) -> Iterator[None]:
    """Add the exit handler, which runs after everything that the block adds to the pipeline."""
    ui = environment.ui if environment else ""
    told = notify(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, ui=ui)
    outcome = place(told, "notify", "Say how it ended")
    outcome.set_caching_options(False)
    with dsl.ExitHandler(outcome, name="training"):
        yield


def read_and_split(place: Place, given: Given) -> tuple[Any, Any]:
    """Add resolve, ingest and prepare, and return the ratings and the splits."""
    version = place(resolve(**own(resolve, given)), "resolve", "Resolve the source's version")
    version.set_caching_options(False)
    read = own(ingest, given) | {"source_version": version.output}
    ingested = place(ingest(**read), "ingest", "Ingest ratings from S3")
    ratings = ingested.outputs["ratings"]
    prepared = place(prepare(ratings=ratings, **own(prepare, given)), "prepare", "Filter and split")
    return ratings, prepared.outputs["splits"]


def train_and_deploy(place: Place, given: Given, ratings: Any, splits: Any) -> None:
    """Add train, evaluate and deploy.

    Args:
        place: sets the titles and platform settings of the tasks.
        given: the parameters by name, including those of the training step.
        ratings: the output of ingest.
        splits: the output of prepare.
    """
    trained = place(train(splits=splits, **own(train, given)), "train", "Train")
    model = trained.outputs["model"]
    measured = own(evaluate, given) | {"champion": given["destination"], "run": _RUN}
    judged = place(
        evaluate(ratings=ratings, splits=splits, model=model, **measured),
        "evaluate",
        "Evaluate and judge",
    )
    # Another model may have been deployed since.
    judged.set_caching_options(False)
    with dsl.If(judged.outputs["Output"] == True, name="passed"):  # noqa: E712
        deployed = place(deploy(model=model, **own(deploy, given)), "deploy", "Deploy")
        deployed.set_caching_options(False)


def own(component: Any, given: Given) -> dict[str, Any]:
    """The parameters of the pipeline that this component has too."""
    asked = component.component_spec.inputs
    return {name: given[name] for name in asked if name in given}


_RUN = f"{dsl.PIPELINE_JOB_NAME_PLACEHOLDER} ({dsl.PIPELINE_JOB_ID_PLACEHOLDER})"
_DESCRIPTION = (
    "Star ratings in S3 to a live recommendation endpoint: ingest, prepare, train, evaluate and, "
    "if the gate says so, deploy."
)
