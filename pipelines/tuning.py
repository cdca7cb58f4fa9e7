"""The tuning pipeline: search the settings of the training step here, then train with the best.

1. resolve, ingest, prepare: as in the training pipeline.
2. ask: the search proposes a batch of trials.
3. trial, once for each of the batch and at the same time: train, and measure on validation.
4. tell the search what they reached, and ask again, in rounds, until its budget is used.
5. conclude: the best trial, with a table and a plot of all.
6. the training pipeline, on the same version of the source, with the best trial's settings.

It takes the parameters of the training pipeline, but for those that it finds itself.
"""

from collections.abc import Mapping
from typing import Any

from kfp import dsl

from components.tune.settings import TuneSettings
from pipelines.definition.components import SEARCHED, ask, conclude, tell, trial
from pipelines.definition.parameters import declare, training_parameters, with_parameters
from pipelines.training import entitle, own, read_and_split, training_pipeline

_DESCRIPTION = (
    "Search settings of the training step on validation, then train with the best, on this machine."
)


def tuning_pipeline(rounds: int) -> Any:
    """The pipeline, without platform settings: it searches on one machine.

    Args:
        rounds: batches of trials at most, as the pipeline's graph has to have them.
    """
    train_with_best = training_pipeline()
    shared = {name: known for name, known in training_parameters().items() if name not in SEARCHED}
    parameters = shared | declare(TuneSettings)

    def tuning(*values: Any) -> None:
        given = dict(zip(parameters, values, strict=True))
        version, _, splits = read_and_split(entitle, given)
        told = _search(splits, rounds, given)
        best = conclude(**own(conclude, given), **told).set_display_name("Conclude")
        chosen = {name: best.outputs[name] for name in best.outputs if name != "report"}
        train_with_best(**own(train_with_best, given) | chosen | {"source_version": version})

    declared = with_parameters(tuning, _DESCRIPTION, parameters)
    return dsl.pipeline(name="alsolike-tuning", display_name="alsolike: tune, then train")(declared)


def _search(splits: Any, rounds: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Rounds of trials, each proposed when those before it are done; what all of them told."""
    told: dict[str, Any] = {}
    shared = own(trial, given) | {"objectives": given["objective"]}
    for number in range(1, rounds + 1):
        asked = ask(**own(ask, given), **told)
        asked.set_display_name(f"Ask for batch {number}")
        with dsl.ParallelFor(asked.output, name=f"batch {number}") as proposal:
            tried = trial(splits=splits, proposal=proposal, **shared)
            tried.set_display_name("Train and validate")
        done = tell(results=dsl.Collected(tried.output), **told)
        told = {"told": done.set_display_name(f"Tell batch {number}").output}
    return told
