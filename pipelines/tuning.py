"""The tuning pipeline: search the settings of the training step, then train with the best.

1. resolve, ingest, prepare: as in the training pipeline.
2. ask: the search proposes a batch of trials.
3. trial, once for each of the batch and at the same time: train, and measure on validation.
4. tell the search what they reached, and ask again, in rounds.
5. conclude: the best trial, with a table and a plot of all.
6. the training pipeline, with the best trial's settings; on a cluster, 1. comes from the cache.
"""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kfp import dsl
from rich.console import Console

from components.ingest.component import ingest, resolve
from components.prepare.component import prepare
from components.train.component import trial
from components.tune.component import ask, conclude, tell
from pipelines.compile import compile_pipeline
from pipelines.environment import Environment
from pipelines.local import RUNS, run
from pipelines.platform import StepName, apply_platform
from pipelines.training import Place, training_pipeline

ROUNDS = 4


def tuning_pipeline(environment: Environment | None = None, rounds: int = ROUNDS) -> Any:
    """The pipeline, as plain Kubeflow or with the platform settings of an environment."""

    def place(task: dsl.PipelineTask, name: StepName, title: str) -> dsl.PipelineTask:
        task.set_display_name(title)
        if environment is not None:
            apply_platform(task, name, environment)
        return task

    train_with_best = training_pipeline(environment)

    @dsl.pipeline(
        name="alsolike-tuning",
        display_name="alsolike: tune, then train",
        description="Search settings of the training step on validation, then train with the best.",
    )
    def tuning(
        source: str,
        source_version: str = "",
        format: str = "amazon",  # noqa: A002 - the setting's name
        min_customer_ratings: int = 5,
        min_product_ratings: int = 10,
        split: str = "last",
        objective: str = "ranking",
        batch: int = 4,
        epochs: int = 20,
        device: str = "auto",
        target: str = "local",
        destination: str = "runs/endpoint",
        seed: int = 0,
    ) -> None:
        """Search settings of the training step on validation, then train with the best.

        Args:
            source: s3://bucket/key of the ratings, or s3://bucket/prefix/ for all under it.
            source_version: Version of the source to insist on; empty for whatever is there.
            format: How the files are laid out, as in the training pipeline.
            min_customer_ratings: Customers with fewer ratings are left out.
            min_product_ratings: Products with fewer ratings are left out.
            split: What to hold out: last, temporal or random.
            objective: What to tune: rating (predict stars) or ranking (order products).
            batch: Trials in each round.
            epochs: Epochs of mf and mlp at most; sweeps of bayes at most.
            device: Where to compute: auto (a GPU if there is one), cpu, gpu, or gpu:1.
            target: Where to deploy, as in the training pipeline.
            destination: Where to deploy to, as in the training pipeline.
            seed: Seed of everything that is random.
        """
        shared = {
            "source": source,
            "format": format,
            "min_customer_ratings": min_customer_ratings,
            "min_product_ratings": min_product_ratings,
            "split": split,
            "epochs": epochs,
            "device": device,
            "seed": seed,
            "target": target,
            "destination": destination,
        }

        def own(component: Any) -> dict[str, Any]:
            """Of what the steps share, what this one asks for."""
            asked = component.component_spec.inputs
            return {name: value for name, value in shared.items() if name in asked}

        version = place(
            resolve(source_version=source_version, **own(resolve)),
            "resolve",
            "Resolve the source's version",
        )
        version.set_caching_options(False)
        ingested = place(
            ingest(source_version=version.output, **own(ingest)), "ingest", "Ingest ratings from S3"
        )
        prepared = place(
            prepare(ratings=ingested.outputs["ratings"], **own(prepare)),
            "prepare",
            "Filter and split",
        )
        splits = prepared.outputs["splits"]
        told = _search(place, splits, rounds, batch, objective=objective, **own(trial))
        best = place(conclude(objective=objective, **told), "prepare", "Conclude")
        chosen = {name: best.outputs[name] for name in best.outputs if name != "report"}
        train_with_best(source_version=version.output, **shared, **chosen)

    return tuning


def _search(
    place: Place, splits: Any, rounds: int, batch: Any, *, objective: Any, seed: Any, **shared: Any
) -> dict[str, Any]:
    """Rounds of trials, each proposed when those before it are done; what all of them told."""
    told: dict[str, Any] = {}
    for number in range(1, rounds + 1):
        asked = ask(objective=objective, count=batch, seed=seed, **told)
        place(asked, "prepare", f"Ask for batch {number}")
        with dsl.ParallelFor(asked.output, name=f"batch {number}") as proposal:
            tried = trial(
                splits=splits, proposal=proposal, objective=objective, seed=seed, **shared
            )
            place(tried, "train", "Train and validate")
        done = tell(results=dsl.Collected(tried.output), **told)
        told = {"told": place(done, "prepare", f"Tell batch {number}").output}
    return told


def tune_locally(
    source: str | None,
    given: Mapping[str, Any],
    console: Console,
    runs: Path = RUNS,
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Run the pipeline on this machine, as `pipelines.local.run` does the training pipeline.

    Returns:
        The summary. The run's folder has a page with all trials, also if a step after them fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Path(folder) / "tuning.yaml"
        compile_pipeline(pipeline, build=partial(tuning_pipeline, rounds=rounds))
        return run(source, given, console, runs, pipeline)
