"""The training step as a Kubeflow component, and one trial of a search for its settings."""

from typing import Any

from kfp import dsl

from components import images


@dsl.component(base_image=images.TRAIN, install_kfp_package=False)
def train(
    splits: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    objectives: str = "rating,ranking",
    rating_model: str = "auto",
    num_embeddings: int = 64,
    epochs: int = 20,
    patience: int = 2,
    batch_size: int = 1024,
    learning_rate: float = 0.0,
    dropout: float = 0.5,
    weight_decay: float = 0.05,
    ranking_model: str = "auto",
    ranking_dimensions: int = 256,
    ranking_recency: float = 0.0,
    ranking_regularization: float = 0.0,
    device: str = "auto",
    warm_start: str = "",
    checkpoints: str = "",
    seed: int = 0,
) -> None:
    """Learn to predict stars and to rank products.

    Args:
        splits: Ratings to learn from and to choose by.
        model: What was learned, in plain arrays.
        metrics: Figures on the validation ratings.
        objectives: What to learn: rating (predict stars), ranking (order products), or both.
        rating_model: What predicts stars: bayes, mf, mlp, or auto for the better of the first
            two on the validation ratings.
        num_embeddings: Width of the embeddings of mf and mlp.
        epochs: Epochs of mf and mlp at most; sweeps of bayes at most.
        patience: Stop after this many epochs without a better validation loss; the best is kept.
        batch_size: Ratings a step of mf and mlp.
        learning_rate: Learning rate of mf and mlp; 0 for the model's own.
        dropout: Part of the units of mlp left out in training.
        weight_decay: L2 penalty on the embeddings of a rating, in mf.
        ranking_model: What orders products: ridge, autoencoder, als, popularity, or auto for the
            best on validation.
        ranking_dimensions: Width of the widest vectors to try. ridge and autoencoder try a half
            and a quarter of it as well; als tries it alone, and no more than 32.
        ranking_recency: Weight of a customer's rating relative to the next newer one; 0 to choose
            on validation.
        ranking_regularization: How far item vectors shrink; 0 to choose on validation.
        device: Where to compute: auto (a GPU if there is one), cpu, gpu, or gpu:0,1 for several.
        warm_start: Begin with the factors of an earlier model: its folder, or where models are
            deployed; one that has learned the test ratings is left aside. Empty to begin afresh.
        checkpoints: Where to keep every epoch, for a step that was killed to go on: a folder or
            an s3:// URI; empty for nowhere.
        seed: Seed of everything that is random.
    """
    from pathlib import Path

    from components.step import step
    from components.train.settings import TrainSettings

    with step("train"):
        from components.train.train import train  # it says so in one line if MXNet does not start

        settings = TrainSettings.model_validate(
            {
                "objectives": objectives,
                "rating_model": rating_model,
                "num_embeddings": num_embeddings,
                "epochs": epochs,
                "patience": patience,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "dropout": dropout,
                "weight_decay": weight_decay,
                "ranking_model": ranking_model,
                "ranking_dimensions": ranking_dimensions,
                "ranking_recency": ranking_recency,
                "ranking_regularization": ranking_regularization,
                "device": device,
                "warm_start": warm_start,
                "checkpoints": checkpoints,
                "seed": seed,
            }
        )
        figures = train(settings, Path(splits.path), Path(model.path))
    for name, figure in figures.items():
        metrics.log_metric(name, figure)


@dsl.component(base_image=images.TRAIN, install_kfp_package=False)
def trial(
    splits: dsl.Input[dsl.Dataset],
    proposal: dict[str, Any],
    objective: str = "ranking",
    epochs: int = 20,
    device: str = "auto",
    seed: int = 0,
) -> dict[str, Any]:
    """Train with settings that a search proposed, and tell what they reach on validation.

    Args:
        splits: Ratings to learn from and to choose by.
        proposal: The trial, whose parameters are settings of the training step.
        objective: What to learn: rating (predict stars) or ranking (order products).
        epochs: Epochs of mf and mlp at most; sweeps of bayes at most.
        device: Where to compute: auto (a GPU if there is one), cpu, gpu, or gpu:1.
        seed: Seed of everything that is random.

    Returns:
        The proposal, with its settings and its figures, or with the error that it met.
    """
    from pathlib import Path

    from components.step import step

    with step("trial"):
        from components.train.trial import run_trial

        shared = {"objectives": objective, "epochs": epochs, "device": device, "seed": seed}
        return run_trial(proposal, shared, Path(splits.path))
