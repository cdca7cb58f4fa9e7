"""The evaluation step as a Kubeflow component."""

from typing import Any

from kfp import dsl

from components import images


# A plain return value: kfp.local resolves no other output in a condition.
@dsl.component(base_image=images.DATA, install_kfp_package=False)
def evaluate(
    ratings: dsl.Input[dsl.Dataset],
    splits: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    report: dsl.Output[dsl.HTML],
    verdict: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    champion: str = "",
    gate: list[dict[str, Any]] = [],  # noqa: B006 - KFP reads the default, nothing changes it
    allow: list[str] = [],  # noqa: B006
    replace_catalogue: bool = False,
    max_test_customers: int = 100_000,
    min_test_rows: int = 100,
    min_slice_rows: int = 50,
    confidence: float = 0.95,
    resamples: int = 1000,
    recent_days: int = 90,
    seed: int = 0,
) -> bool:
    """Measure the model against baselines and the deployed one, and judge it.

    Args:
        ratings: What was ingested.
        splits: What the model was trained on, with the test ratings.
        model: The model to judge.
        report: The page that a person opens first.
        verdict: Every check with its figure and threshold, and every metric.
        metrics: The model's metrics.
        champion: Folder or s3:// URI of the bundle store whose current model is to be matched;
            empty for none.
        gate: Checks that a model must pass, as a JSON list of objects with metric, comparison
            (better, not_worse, not_fallen, at_least, at_most), rival or threshold, margin and
            slice; empty for the built-in checks. Leakage alarms, the checks for degenerate data
            and the least number of test ratings always apply.
        allow: Names of degenerate data that are noted instead of refused: constant_stars (all
            ratings are equal), short_catalogue (a list of 10 shows every product),
            near_zero_error (RMSE below 5 % of the scale), strong_random_ranking (NDCG@10 of
            random lists above 0.2).
        replace_catalogue: Replace a deployed model that knows none of these products, with which
            no comparison is possible.
        max_test_customers: Of more test customers so many are drawn at random, which bounds the
            time that lists for all of them would take.
        min_test_rows: Fewer test ratings than this are not enough evidence.
        min_slice_rows: Smaller slices of the test ratings are not judged.
        confidence: Confidence level of the intervals.
        resamples: Bootstrap resamples of the customers.
        recent_days: Days that the recent popularity baseline looks back.
        seed: Seed of the draw, the resamples and ties.

    Returns:
        Whether the model may be deployed.
    """
    import math
    from pathlib import Path

    from components.evaluate.evaluate import evaluate
    from components.evaluate.settings import EvaluateSettings
    from components.step import step

    with step("evaluate"):
        settings = EvaluateSettings.model_validate(
            {
                "champion": champion,
                "gate": gate,
                "allow": allow,
                "replace_catalogue": replace_catalogue,
                "max_test_customers": max_test_customers,
                "min_test_rows": min_test_rows,
                "min_slice_rows": min_slice_rows,
                "confidence": confidence,
                "resamples": resamples,
                "recent_days": recent_days,
                "seed": seed,
            }
        )
        answer, measured = evaluate(
            settings,
            ratings=Path(ratings.path),
            splits=Path(splits.path),
            model=Path(model.path),
            report=Path(report.path),
            verdict=Path(verdict.path),
        )
    for name, value in measured.items():
        if math.isfinite(value):
            metrics.log_metric(name, value)
    return answer.passed
