"""The search as Kubeflow components: what to try next, and what came out."""

from typing import Any, NamedTuple

from kfp import dsl

from components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def ask(
    told: list[dict[str, Any]] = [],  # noqa: B006 - KFP reads the default, nothing changes it
    objective: str = "ranking",
    trials: int = 16,
    minutes: float = 0.0,
    batch: int = 4,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Propose the next trials from the results of all before.

    Args:
        told: Results of all trials so far.
        objective: What to tune: rating (predict stars) or ranking (order products).
        trials: Trials at most.
        minutes: No batch of trials starts after this many minutes; 0 for no limit.
        batch: Trials that run at the same time.
        seed: Seed of the search.

    Returns:
        The trials to run; one that is empty once the budget is used.
    """
    import time

    from components.step import step
    from components.tune.settings import TuneSettings
    from components.tune.study import next_batch

    with step("ask"):
        settings = TuneSettings.model_validate(
            {"objective": objective, "trials": trials, "minutes": minutes, "batch": batch}
        )
        return next_batch(settings, told, seed, time.time())


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def tell(
    results: list[dict[str, Any]],
    told: list[dict[str, Any]] = [],  # noqa: B006
) -> list[dict[str, Any]]:
    """Add the results of a batch to those before.

    Args:
        results: Of the trials of the batch; empty ones tell nothing.
        told: Results of all trials before.

    Returns:
        The results of all trials.
    """
    return told + [result for result in results if result]


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def conclude(
    report: dsl.Output[dsl.HTML],
    told: list[dict[str, Any]],
    objective: str = "ranking",
) -> NamedTuple(  # type: ignore[valid-type]
    "Outputs",
    [
        ("rating_model", str),
        ("num_embeddings", int),
        ("batch_size", int),
        ("learning_rate", float),
        ("dropout", float),
        ("weight_decay", float),
        ("ranking_model", str),
        ("ranking_dimensions", int),
        ("ranking_recency", float),
        ("ranking_regularization", float),
    ],
):
    """Name the best trial's settings and draw all trials.

    Args:
        report: The page with the table and the plot of the trials.
        told: Results of all trials.
        objective: What was tuned: rating or ranking.

    Returns:
        rating_model: As the training step takes it.
        num_embeddings: As the training step takes it.
        batch_size: As the training step takes it.
        learning_rate: As the training step takes it.
        dropout: As the training step takes it.
        weight_decay: As the training step takes it.
        ranking_model: As the training step takes it.
        ranking_dimensions: As the training step takes it.
        ranking_recency: As the training step takes it.
        ranking_regularization: As the training step takes it.
    """
    from pathlib import Path

    from components.step import step
    from components.tune.page import render
    from components.tune.study import best_of

    with step("conclude"):
        Path(report.path).write_text(render(objective, told))
        best = best_of(objective, told)["settings"]
    return (
        best["rating_model"],
        int(best["num_embeddings"]),
        int(best["batch_size"]),
        float(best["learning_rate"]),
        float(best["dropout"]),
        float(best["weight_decay"]),
        best["ranking_model"],
        int(best["ranking_dimensions"]),
        float(best["ranking_recency"]),
        float(best["ranking_regularization"]),
    )
