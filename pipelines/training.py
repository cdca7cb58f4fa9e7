"""The training pipeline: star ratings in S3 to a live recommendation endpoint.

1. resolve: which objects the source has, and which version of each; never cached.
2. ingest: read the ratings of that version, keep what could not be read apart.
3. prepare: one rating a pair, leave out the long tail, hold out the latest ratings.
4. train: learn to predict stars and to rank products.
5. evaluate: measure both against baselines and the deployed model, write the report, judge.
6. deploy, if the verdict says so: prove that the bundle serves, make it current; never cached.
7. notify, however it ended: say so.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kfp import dsl

from components import images
from components.deploy.component import deploy
from components.evaluate.component import evaluate
from components.ingest.component import ingest, resolve
from components.notify.component import notify
from components.prepare.component import prepare
from components.train.component import train
from pipelines.definition.environment import Environment
from pipelines.definition.parameters import SETTINGS
from pipelines.definition.platform import StepName, apply_platform

Place = Callable[[dsl.PipelineTask, StepName, str], dsl.PipelineTask]
"""Gives a task its title and whatever else it has as that step."""
Given = Mapping[str, Any]
"""The parameters of a pipeline by name, as it passes them on."""


def training_pipeline(environment: Environment | None = None) -> Any:
    """The pipeline, as plain Kubeflow or with the platform settings of an environment."""

    def place(task: dsl.PipelineTask, name: StepName, title: str) -> dsl.PipelineTask:
        if environment is not None:
            apply_platform(task, name, environment)
        return entitle(task, name, title)

    return dsl.pipeline(
        name="alsolike-training",
        display_name="alsolike: train a recommender",
        description=_DESCRIPTION,
    )(_training(place, environment.run_page if environment else ""))


def entitle(task: dsl.PipelineTask, _: StepName, title: str) -> dsl.PipelineTask:
    """Give a task its title and no platform: the `Place` of a pipeline for this machine."""
    return task.set_display_name(title)


def _training(place: Place, run_page: str) -> Callable[..., None]:
    """The pipeline's function, which puts every step in its place."""

    def training(
        source: str,
        source_version: str = "",
        format: str = "auto",  # noqa: A002 - the setting's name
        products_source: str = "",
        requester_pays: bool = False,
        anonymous: bool = False,
        mirror_to: str = "",
        customer_column: str = "",
        product_column: str = "",
        rating_column: str = "",
        date_column: str = "",
        title_column: str = "",
        category_column: str = "",
        min_rating: str = "",
        max_rating: str = "",
        since: str = "",
        until: str = "",
        run_date: str = "",
        window_days: int = 0,
        max_rejected_fraction: float = 0.01,
        min_customer_ratings: int = 5,
        min_product_ratings: int = 10,
        fixpoint: bool = True,
        deduplicate: str = "latest",
        split: str = "last",
        test_fraction: float = 0.1,
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
        gate: list[dict[str, Any]] = [],  # noqa: B006 - KFP reads the default
        max_test_customers: int = 100_000,
        min_test_rows: int = 100,
        min_slice_rows: int = 50,
        confidence: float = 0.95,
        resamples: int = 1000,
        recent_days: int = 90,
        target: str = "local",
        destination: str = "runs/endpoint",
        precompute_top_n: int = 0,
        endpoint_name: str = "recommender",
        namespace: str = "default",
        serve_image: str = images.SERVE,
        port: int = 8080,
        min_replicas: int = 1,
        max_replicas: int = 3,
        cpu_request: str = "500m",
        cpu_limit: str = "2",
        memory_request: str = "512Mi",
        memory_limit: str = "1Gi",
        service_account: str = "default",
        s3_secret: str = "",
        kserve_mode: str = "knative",
        canary_percent: int = 100,
        probe_address: str = "",
        ready_seconds: float = 300.0,
        smoke_requests: int = 100,
        max_error_rate: float = 0.0,
        max_latency_ms: float = 500.0,
        seed: int = 0,
    ) -> None:
        _steps(place, run_page, dict(locals()))

    training.__doc__ = _document()
    return training


def _steps(place: Place, run_page: str, given: Given) -> None:
    outcome = place(notify(run_url=run_page), "notify", "Say how it ended")
    outcome.set_caching_options(False)
    with dsl.ExitHandler(outcome, name="training"):
        _, ratings, splits = read_and_split(place, given)
        trained = place(train(splits=splits, **own(train, given)), "train", "Train")
        model = trained.outputs["model"]
        measured = own(evaluate, given) | {"champion": given["destination"]}
        judged = place(
            evaluate(ratings=ratings, splits=splits, model=model, **measured),
            "evaluate",
            "Evaluate and judge",
        )
        # The champion that it is measured against may have changed.
        judged.set_caching_options(False)
        with dsl.If(judged.outputs["Output"] == True, name="passed"):  # noqa: E712
            deployed = place(deploy(model=model, **own(deploy, given)), "deploy", "Deploy")
            deployed.set_caching_options(False)


def read_and_split(place: Place, given: Given) -> tuple[Any, Any, Any]:
    """The steps that both pipelines begin with: resolve, ingest and prepare.

    Returns:
        The source's version, the ratings and the splits, each as the pipeline passes it on.
    """
    version = place(resolve(**own(resolve, given)), "resolve", "Resolve the source's version")
    version.set_caching_options(False)
    read = own(ingest, given) | {"source_version": version.output}
    ingested = place(ingest(**read), "ingest", "Ingest ratings from S3")
    ratings = ingested.outputs["ratings"]
    prepared = place(prepare(ratings=ratings, **own(prepare, given)), "prepare", "Filter and split")
    return version.output, ratings, prepared.outputs["splits"]


def own(component: Any, given: Given) -> dict[str, Any]:
    """Of what a pipeline is given, what this component asks for."""
    asked = component.component_spec.inputs
    return {name: given[name] for name in asked if name in given}


_DESCRIPTION = (
    "Star ratings in S3 to a live recommendation endpoint: ingest, prepare, train, evaluate and, "
    "if the gate says so, deploy."
)


def _document() -> str:
    """What Kubeflow shows: a description of every parameter, from the settings of the steps.

    Kubeflow sorts the parameters by name, so each says which step it belongs to.
    """
    described = {
        name: f"{step.capitalize()}: {field.description}"
        for step, settings in SETTINGS.items()
        for name, field in settings.model_fields.items()
    }
    described["seed"] = "All steps: seed of everything that is random."
    del described["champion"]  # the destination's current bundle
    arguments = "\n".join(f"    {name}: {text}" for name, text in described.items())
    return f"{_DESCRIPTION}\n\nArgs:\n{arguments}\n"
