"""The tuning pipeline: search the settings of the training step, then train with the best.

1. resolve, ingest, prepare: as in the training pipeline.
2. ask: propose a batch of trials.
3. trial, for each of the batch at the same time: train, and measure on validation.
4. tell: add their results to the earlier ones; then ask again, until the budget is used up.
5. conclude: choose the best trial, and write the page of all trials.
6. train with the settings of the best trial, evaluate, deploy, notify: as in the training pipeline.

It has the parameters of the training pipeline, except those that it searches.
"""

from collections.abc import Mapping
from typing import Any

from kfp import dsl

from components.tune.settings import TuneSettings
from pipelines.definition.components import SEARCHED, ask, conclude, tell, trial
from pipelines.definition.environment import Environment
from pipelines.definition.parameters import declare, training_parameters, with_parameters
from pipelines.training import (
    Given,
    Place,
    own,
    placing,
    read_and_split,
    told_how_it_ended,
    train_and_deploy,
)

_DESCRIPTION = "Search settings of the training step on validation, then train with the best."


def tuning_pipeline(rounds: int, environment: Environment | None = None) -> Any:
    """The tuning pipeline, with the platform settings of an environment if there is one.

    Args:
        rounds: the largest number of batches, which is fixed in the graph of the pipeline.
        environment: the cluster; each trial has the resources of the training step.
    """
    shared = {name: known for name, known in training_parameters().items() if name not in SEARCHED}
    parameters = shared | declare(TuneSettings)

    def tuning(*values: Any) -> None:
        given = dict(zip(parameters, values, strict=True))
        place = placing(environment)
        with told_how_it_ended(place, environment):
            ratings, splits = read_and_split(place, given)
            told = _search(place, splits, rounds, given)
            best = place(conclude(**own(conclude, given), **told), "search", "Conclude")
            chosen = {name: best.outputs[name] for name in SEARCHED}
            train_and_deploy(place, given | chosen, ratings, splits)

    return dsl.pipeline(
        name="alsolike-tuning", display_name="alsolike: tune, then train", description=_DESCRIPTION
    )(with_parameters(tuning, _DESCRIPTION, parameters))


def rounds_of(given: Mapping[str, Any]) -> int:
    """The number of rounds that the search needs with these parameters.

    Raises:
        ValidationError: if the settings of the search are wrong.
    """
    search = {name: given[name] for name in TuneSettings.model_fields if name in given}
    return TuneSettings.model_validate(search).rounds


def for_tuning(environment: Environment) -> Environment:
    """The environment with the name of the tuning pipeline, without parameters that it searches."""
    fixed = {name: value for name, value in environment.parameters.items() if name not in SEARCHED}
    return environment.model_copy(
        update={"pipeline": environment.tuning_pipeline, "parameters": fixed}
    )


def _search(place: Place, splits: Any, rounds: int, given: Given) -> dict[str, Any]:
    """Add rounds of trials, each proposed after the round before it.

    Args:
        place: sets the titles and platform settings of the tasks.
        splits: the output of prepare.
        rounds: the number of rounds.
        given: the parameters by name.

    Returns:
        The results of all trials, as an argument of `conclude`.
    """
    told: dict[str, Any] = {}
    shared = own(trial, given) | {"objectives": given["objective"]}
    for number in range(1, rounds + 1):
        asked = place(ask(**own(ask, given), **told), "search", f"Ask for batch {number}")
        with dsl.ParallelFor(asked.output, name=f"batch {number}") as proposal:
            tried = trial(splits=splits, proposal=proposal, **shared)
            tried = place(tried, "train", "Train and validate")
        done = tell(results=dsl.Collected(tried.output), **told)
        told = {"told": place(done, "search", f"Tell batch {number}").output}
    return told
