"""The bill of materials: valid CycloneDX, of all that an image holds and nothing else."""

import json
from pathlib import Path
from typing import Any

import docker
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from components import images
from components.errors import UserError
from pipelines.images.building import NAMES
from pipelines.images.sbom import write_bill
from tests.images.test_sources import FOLDER, pins

pytestmark = pytest.mark.docker


def bill(engine: docker.DockerClient, name: str, folder: Path) -> tuple[str, dict[str, Any]]:
    file = folder / "sbom" / f"{name}.cdx.json"
    count = write_bill(engine, NAMES[name], file)
    text = file.read_text()
    found: dict[str, Any] = json.loads(text)
    assert len(found["components"]) == count
    return text, found


@pytest.mark.parametrize("name", ["train-cpu", "serve"])
def test_a_bill_lists_every_package_and_what_is_within_mxnet(
    engine: docker.DockerClient, tmp_path: Path, name: str
) -> None:
    text, found = bill(engine, name, tmp_path)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    component = found["metadata"]["component"]
    assert (component["name"], component["version"]) == (f"alsolike/{name}", images.VERSION)
    urls = {part["purl"].partition("?")[0].rpartition("@") for part in found["components"]}
    python = {
        kind.removeprefix("pkg:pypi/"): version for kind, _, version in urls if "pypi" in kind
    }
    requirements = pins(FOLDER / name / "requirements.txt") | pins(FOLDER / "kfp/requirements.txt")
    assert python == requirements | {"alsolike": images.VERSION}
    debian = {kind.removeprefix("pkg:deb/debian/") for kind, _, _ in urls if "debian" in kind}
    assert "libc6" in debian
    assert ("libgomp1" in debian) == (name == "train-cpu")
    within = {kind for kind, _, _ in urls if kind.startswith("pkg:generic/")}
    assert ("pkg:generic/libpng" in within) == (name == "train-cpu")
    names = {part["cpe"] for part in found["components"] if "cpe" in part}
    assert len(names) == len(within)
    assert ("cpe:2.3:a:libpng:libpng:1.6.35:*:*:*:*:*:*:*" in names) == (name == "train-cpu")


def test_an_image_that_is_not_there_is_told(engine: docker.DockerClient, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no alsolike/none:1: build first \(make images\)"):
        write_bill(engine, "alsolike/none:1", tmp_path / "none.json")
    assert not (tmp_path / "none.json").exists()
