"""Push images to a registry, and lock the pipeline to their digests."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import docker
from docker.errors import APIError

from components import images
from components.errors import UserError
from pipelines.images.engine import require_images


def push(engine: docker.DockerClient, image: str, registry: str, say: Callable[[str], None]) -> str:
    """Push an image, and return its digest.

    Args:
        engine: where the image is.
        image: its local name.
        registry: the registry and path to push to.
        say: prints the progress.

    Raises:
        UserError: if the engine has no such image, or the registry refuses it.
    """
    repository, _, tag = f"{registry}/{image}".rpartition(":")
    require_images(engine, [image])
    engine.api.tag(image, repository, tag)
    say(f"{image}: to {registry}")
    digest = ""
    for message in engine.api.push(repository, tag=tag, stream=True, decode=True):
        if "error" in message:
            reason = " ".join(message["error"].split())
            raise UserError(f"{registry} refuses {image}: {reason}; is a `docker login` needed?")
        if message.get("status") in ("Pushed", "Layer already exists"):
            say(f"{image}: {message['id']} {message['status'].lower()}")
        digest = message.get("aux", {}).get("Digest", digest)
    say(f"{image}: {digest}")
    return digest


def find_digest(engine: docker.DockerClient, image: str, registry: str) -> str:
    """The digest of an image in a registry.

    Args:
        engine: asks the registry.
        image: the local name of the image.
        registry: the registry and path.

    Raises:
        UserError: if the registry has no such image, or does not answer.
    """
    try:
        digest: str = engine.images.get_registry_data(f"{registry}/{image}").id
    except APIError as error:
        reason = " ".join((error.explanation or str(error)).split())
        raise UserError(
            f"{image} cannot be locked, {registry} does not have it: {reason}"
        ) from None
    return digest


def write_lock(lock: Path, digests: Mapping[str, str]) -> None:
    """Add digests to a lock file atomically, and remove those of other versions of the images.

    Args:
        lock: the file.
        digests: by the local names of the images.
    """
    before = json.loads(lock.read_text()) if lock.exists() else {}
    after = {**before, **digests}
    current = {image: after[image] for image in images.ALL if image in after}
    partial = lock.with_name(f".{lock.name}.partial")
    partial.write_text(json.dumps(current, indent=2) + "\n")
    partial.replace(lock)
