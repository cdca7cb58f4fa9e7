"""Containers of the images, with no more rights than a pod of the pipeline has."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.models.images import Image

BASE = "org.opencontainers.image.base.name"
CONFINED: dict[str, Any] = {
    "read_only": True,
    "tmpfs": {"/tmp": ""},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}


def run(
    engine: docker.DockerClient,
    image: str,
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    mounts: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run a command in an image, without a network.

    Args:
        engine: where the image is.
        image: its name.
        command: the command.
        environment: its variables.
        mounts: paths of this machine, by where the container sees them.

    Returns:
        The exit status, and all that was printed.
    """
    volumes = {path: {"bind": seen, "mode": "ro"} for seen, path in (mounts or {}).items()}
    container = engine.containers.create(
        image,
        list(command),
        environment=dict(environment or {}),
        volumes=volumes,
        network_mode="none",
        **CONFINED,
    )
    try:
        container.start()
        status = int(container.wait()["StatusCode"])
        return status, container.logs().decode()
    finally:
        container.remove(force=True, v=True)


def readable(folder: Path) -> Path:
    """Let the user of the images come to the files of a folder; a test has its own for itself."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    return folder


def layers_beyond_base(engine: docker.DockerClient, image: Image) -> list[str]:
    """The digests of an image's own layers, as they are without compression."""
    layers: list[str] = image.attrs["RootFS"]["Layers"]
    base: list[str] = engine.images.get(image.labels[BASE]).attrs["RootFS"]["Layers"]
    assert layers[: len(base)] == base, "the base was made anew since: build the images again"
    return layers[len(base) :]
