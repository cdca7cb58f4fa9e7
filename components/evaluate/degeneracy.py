"""Checks for degenerate data: they make good figures that say nothing about the model."""

from collections.abc import Iterator

from components.artifacts.evaluation import Check
from components.evaluate.contest import Field
from components.evaluate.figures import LISTED, Figures
from components.evaluate.gate import MODEL
from components.evaluate.settings import Degeneracy

# A fraction of the scale. People who rate a product twice differ by more (Amatriain et al. 2009).
_LEAST_ERROR = 0.05
# Random lists reach it with about 20 products to choose from.
_MOST_RANDOM = 0.2


def degeneracies(field: Field, figures: Figures) -> Iterator[Check]:
    """A check for each kind of degenerate data that concerns the objectives of the model.

    Of two kinds where the first is the cause of the second, only the first is checked.
    """
    system = figures.systems[MODEL]
    if system.stars is not None:
        constant = _constant_stars(field)
        yield constant
        if constant.passed:
            yield _near_zero_error(field, figures)
    if system.lists is not None:
        short = _short_catalogue(field)
        yield short
        if short.passed:
            yield _strong_random_ranking(figures)


def _constant_stars(field: Field) -> Check:
    lowest = min(field.history.stars.min(), field.test.stars.min())
    highest = max(field.history.stars.max(), field.test.stars.max())
    return _check(
        "constant_stars",
        lowest == highest,
        float(highest - lowest),
        0.0,
        fine=f"The ratings range from {lowest:g} to {highest:g}.",
        degenerate=f"All ratings are {lowest:g}: there is nothing to learn about stars.",
    )


def _near_zero_error(field: Field, figures: Figures) -> Check:
    error = _value(figures, MODEL, "rmse")
    lowest, highest = field.scale
    least = _LEAST_ERROR * (highest - lowest)
    return _check(
        "near_zero_error",
        error < least,
        error,
        least,
        fine=f"RMSE {error:.3g} is not suspiciously small: {least:.3g} or more.",
        degenerate=f"RMSE {error:.3g} is suspiciously small, less than {least:.3g}: look for "
        "stars that are copies of each other.",
    )


def _short_catalogue(field: Field) -> Check:
    return _check(
        "short_catalogue",
        field.products <= LISTED,
        float(field.products),
        float(LISTED),
        fine=f"The catalogue of {field.products:,} products is longer than a list of {LISTED}.",
        degenerate=f"A list of {LISTED} shows the whole catalogue of {field.products} products: "
        "their ranking means nothing.",
    )


def _strong_random_ranking(figures: Figures) -> Check:
    random = _value(figures, "random", "ndcg_at_10")
    return _check(
        "strong_random_ranking",
        random > _MOST_RANDOM,
        random,
        _MOST_RANDOM,
        fine=f"NDCG@10 of random lists is {random:.3g}, no more than {_MOST_RANDOM}.",
        degenerate=f"NDCG@10 of random lists is {random:.3g}, more than {_MOST_RANDOM}: there "
        "are too few products to choose from for their ranking to mean much.",
    )


def _value(figures: Figures, system: str, metric: str) -> float:
    figure = figures.of(system, metric)
    assert figure is not None, "the objective is the model's, so each system has the figure"
    return figure.value


def _check(
    name: Degeneracy,
    is_degenerate: bool,
    figure: float,
    threshold: float,
    *,
    fine: str,
    degenerate: str,
) -> Check:
    reason = degenerate if is_degenerate else fine
    return Check(name, not is_degenerate, figure, threshold, reason)
