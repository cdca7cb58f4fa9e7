"""Checks for degenerate data, on which good metrics say nothing about the model."""

from collections.abc import Iterator

from components.artifacts.evaluation import Check
from components.evaluate.data import EvaluationData
from components.evaluate.results import LISTED, EvaluationResults
from components.evaluate.settings import MODEL, Degeneracy

# A fraction of the scale. The same person rates a product twice with a larger difference
# (Amatriain et al. 2009).
_MIN_ERROR = 0.05
# The NDCG@10 of random lists in a catalogue of about 20 products.
_MOST_RANDOM = 0.2


def degeneracies(data: EvaluationData, results: EvaluationResults) -> Iterator[Check]:
    """Check for each kind of degenerate data that concerns the objectives of the model.

    If one kind causes another, only the cause is reported.
    """
    system = results.systems[MODEL]
    if system.stars is not None:
        constant = _constant_stars(data)
        yield constant
        if constant.passed:
            yield _near_zero_error(data, results)
    if system.lists is not None:
        short = _short_catalogue(data)
        yield short
        if short.passed:
            yield _strong_random_ranking(results)


def _constant_stars(data: EvaluationData) -> Check:
    lowest = min(data.history.stars.min(), data.test.stars.min())
    highest = max(data.history.stars.max(), data.test.stars.max())
    return _check(
        "constant_stars",
        lowest == highest,
        float(highest - lowest),
        0.0,
        fine=f"The ratings range from {lowest:g} to {highest:g}.",
        degenerate=f"All ratings are {lowest:g}: there is nothing to learn about stars.",
    )


def _near_zero_error(data: EvaluationData, results: EvaluationResults) -> Check:
    error = _value(results, MODEL, "rmse")
    lowest, highest = data.scale
    least = _MIN_ERROR * (highest - lowest)
    return _check(
        "near_zero_error",
        error < least,
        error,
        least,
        fine=f"RMSE {error:.3g} is not suspiciously small: {least:.3g} or more.",
        degenerate=f"RMSE {error:.3g} is suspiciously small, less than {least:.3g}: look for "
        "stars that are copies of each other.",
    )


def _short_catalogue(data: EvaluationData) -> Check:
    return _check(
        "short_catalogue",
        data.products <= LISTED,
        float(data.products),
        float(LISTED),
        fine=f"The catalogue of {data.products:,} products is longer than a list of {LISTED}.",
        degenerate=f"A list of {LISTED} shows the whole catalogue of {data.products} products: "
        "their ranking means nothing.",
    )


def _strong_random_ranking(results: EvaluationResults) -> Check:
    random = _value(results, "random", "ndcg_at_10")
    return _check(
        "strong_random_ranking",
        random > _MOST_RANDOM,
        random,
        _MOST_RANDOM,
        fine=f"NDCG@10 of random lists is {random:.3g}, no more than {_MOST_RANDOM}.",
        degenerate=f"NDCG@10 of random lists is {random:.3g}, more than {_MOST_RANDOM}: there "
        "are too few products to choose from for their ranking to mean much.",
    )


def _value(results: EvaluationResults, system: str, metric: str) -> float:
    measured = results.of(system, metric)
    assert measured is not None, "the model has the objective, so every system has the metric"
    return measured.value


def _check(
    name: Degeneracy,
    is_degenerate: bool,
    measured: float,
    threshold: float,
    *,
    fine: str,
    degenerate: str,
) -> Check:
    reason = degenerate if is_degenerate else fine
    return Check(name, not is_degenerate, measured, threshold, reason)
