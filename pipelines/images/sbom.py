"""Write the bill of materials of an image in CycloneDX."""

import json
from collections.abc import Iterable
from pathlib import Path

import docker
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from pipelines.images.engine import require_images
from pipelines.images.exceptions import read_exceptions

# These run in the image itself, so that the list has exactly the packages in it.
_PYTHON = """
import json
from importlib.metadata import distributions
found = {(d.metadata["Name"], d.version) for d in distributions()}
print(json.dumps(sorted(found)))
"""
_DEBIAN = ["dpkg-query", "--show", "--showformat=${Package} ${Version} ${Architecture}\n"]


def write_bill(engine: docker.DockerClient, image: str, output: Path) -> int:
    """Write the bill of materials of an image.

    Args:
        engine: where the image is.
        image: its name.
        output: the JSON file.

    Returns:
        The number of components: packages of Python and of Debian, and libraries within MXNet.

    Raises:
        UserError: if the engine has no such image.
    """
    require_images(engine, [image])
    name, _, version = image.rpartition(":")
    root = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=image)
    python = list(_python(engine, image))
    within = _within_mxnet() if any(part.name.startswith("mxnet") for part in python) else ()
    bom = Bom(components=[*python, *_debian(engine, image), *within])
    bom.metadata.component = root
    bom.register_dependency(root, bom.components)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n")
    return len(bom.components)


def _python(engine: docker.DockerClient, image: str) -> Iterable[Component]:
    answer = engine.containers.run(image, ["python", "-c", _PYTHON], remove=True)
    for name, version in json.loads(answer):
        yield _component(PackageURL("pypi", name=name.lower().replace("_", "-"), version=version))


def _debian(engine: docker.DockerClient, image: str) -> Iterable[Component]:
    answer = engine.containers.run(image, _DEBIAN, remove=True)
    for line in answer.decode().splitlines():
        name, version, architecture = line.split()
        yield _component(
            PackageURL("deb", "debian", name, version, qualifiers={"arch": architecture})
        )


def _within_mxnet() -> Iterable[Component]:
    for one in read_exceptions().linked_into_mxnet:
        url = PackageURL("generic", name=one.library.lower(), version=one.version)
        yield _component(url, f"cpe:2.3:a:{one.cpe}:{one.version}:*:*:*:*:*:*:*")


def _component(url: PackageURL, cpe: str | None = None) -> Component:
    return Component(
        name=url.name,
        version=url.version,
        type=ComponentType.LIBRARY,
        purl=url,
        cpe=cpe,
        bom_ref=url.to_string(),
    )
