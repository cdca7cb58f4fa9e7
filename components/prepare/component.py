"""The prepare step as a Kubeflow component."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def prepare(
    ratings: dsl.Input[dsl.Dataset],
    splits: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    min_customer_ratings: int = 5,
    min_product_ratings: int = 10,
    fixpoint: bool = True,
    deduplicate: str = "latest",
    split: str = "last",
    test_fraction: float = 0.1,
    seed: int = 0,
) -> None:
    """Leave out the long tail, number customers and products, and hold ratings out to test with.

    Args:
        ratings: What was ingested.
        splits: Ratings to train, validate and test with.
        metrics: How many ratings, customers and products were kept.
        min_customer_ratings: Customers with fewer ratings are left out.
        min_product_ratings: Products with fewer ratings are left out.
        fixpoint: Filter until every customer and product that remains has enough ratings;
            otherwise once.
        deduplicate: What stands for several ratings of one product by one customer: latest, first
            or mean.
        split: What to hold out: last (every customer's latest rating), temporal (the latest of
            all) or random.
        test_fraction: Part of the ratings to test with, and as much to validate with, of a
            random split, or about as much of a temporal one.
        seed: Seed of a random split, and of the order of ratings that a customer gave at the same
            time.
    """
    from pathlib import Path

    from components.prepare.prepare import prepare
    from components.prepare.settings import PrepareSettings
    from components.step import step

    with step("prepare"):
        settings = PrepareSettings.model_validate(
            {
                "min_customer_ratings": min_customer_ratings,
                "min_product_ratings": min_product_ratings,
                "fixpoint": fixpoint,
                "deduplicate": deduplicate,
                "split": split,
                "test_fraction": test_fraction,
                "seed": seed,
            }
        )
        statistics = prepare(settings, Path(ratings.path), Path(splits.path))
    for name, count in statistics["rows"].items():
        metrics.log_metric(f"{name}_ratings", count)
    metrics.log_metric("customers", statistics["after"]["customers"]["count"])
    metrics.log_metric("products", statistics["after"]["products"]["count"])
    for removed in statistics["removed"]:
        metrics.log_metric(
            f"removed by {removed['rule']}, round {removed['round']}", removed["rows"]
        )
