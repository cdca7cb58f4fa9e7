"""A stand on the cluster that `make test-cluster` names, with ratings and a webhook of its own.

The endpoint `recommender` in the environment's namespace is replaced: give a namespace that is
there for tests.
"""

import os
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from components import images
from pipelines.definition.environment import load_environment
from pipelines.local.sample_data import write_sample
from tests.cluster.namespace import Namespace
from tests.cluster.stand import Ended, Stand

# Not the command's ALSOLIKE_ENVIRONMENT, which may name what customers use.
_VARIABLE = "ALSOLIKE_TEST_CLUSTER"


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """The stand; its bucket must be reachable from here, if need be at AWS_ENDPOINT_URL."""
    name = os.environ.get(_VARIABLE)
    if not name:
        pytest.skip("no cluster is named: make test-cluster ENVIRONMENT=file")
    environment = load_environment(name)
    for variable, value in environment.store_variables().items():
        os.environ.setdefault(variable, value)
    folder = tmp_path_factory.mktemp("stand")
    write_sample(folder / "ratings.tsv.gz", rows=20_000, seed=1)
    prefix = f"alsolike-test/{uuid.uuid4().hex[:8]}"
    key = f"{prefix}/ratings/ratings.tsv.gz"
    boto3.client("s3").upload_file(str(folder / "ratings.tsv.gz"), environment.bucket, key)
    namespace = Namespace(environment.kubeflow.namespace, environment.image(images.SERVE))
    with namespace.webhook() as told:
        content = environment.model_dump(mode="json", exclude_unset=True)
        yield Stand(
            _for_tests(content, f"s3://{environment.bucket}/{prefix}"), folder, namespace, told
        )


@pytest.fixture(scope="session")
def first(stand: Stand) -> Ended:
    """A run of the sample data, followed to its end."""
    return stand.submit("--wait")


def _for_tests(content: dict[str, Any], place: str) -> dict[str, Any]:
    """The environment with data, names and a webhook of the tests, in which nothing is retried."""
    kubeflow = content["kubeflow"]
    content["parameters"] |= {"source": f"{place}/ratings", "destination": f"{place}/models"}
    content["steps"] = {
        step: resources | {"retries": 0} for step, resources in content["steps"].items()
    }
    return content | {
        "pipeline": "alsolike-test",
        "kubeflow": kubeflow | {"experiment": "alsolike-test"},
        "webhook": {
            "secret": "alsolike-test-webhook",
            "variables": {"url": "ALSOLIKE_WEBHOOK_URL"},
        },
    }
