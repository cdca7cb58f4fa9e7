"""The engine, and the images that it must have."""

import docker
import pytest
from docker.errors import ImageNotFound
from docker.models.images import Image

from pipelines.images.building import NAMES
from pipelines.images.engine import connect


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    return connect()


@pytest.fixture(scope="session")
def built(engine: docker.DockerClient) -> dict[str, Image]:
    """Every image by its short name."""
    try:
        return {name: engine.images.get(image) for name, image in NAMES.items()}
    except ImageNotFound as error:
        pytest.fail(f"{error.explanation}: build the images (make images)")


@pytest.fixture(params=list(NAMES))
def name(request: pytest.FixtureRequest) -> str:
    """The short name of each image."""
    chosen: str = request.param
    return chosen
