"""What the images are built from: linted, hashed, of the versions that the tests ran with."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.images.building import BASE_IMAGE, NAMES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "images"
FILES = sorted(FOLDER.glob("*/requirements.txt"))
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def pins(file: Path) -> dict[str, str]:
    return dict(PIN.findall(file.read_text()))


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    run = subprocess.run([program, FOLDER / "Dockerfile"], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")


def test_the_command_and_the_dockerfile_build_on_the_same_base() -> None:
    assert f"ARG BASE_IMAGE={BASE_IMAGE}\n" in (FOLDER / "Dockerfile").read_text()


def test_every_image_is_a_stage_with_requirements_of_its_own() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    for name in NAMES:
        assert re.search(rf"^FROM \S+ AS {name}$", text, re.MULTILINE)
        assert FOLDER / name / "requirements.txt" in FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_requirements_have_hashes_and_name_no_host(file: Path) -> None:
    text = file.read_text().replace("\\\n", " ")
    assert all("--hash=sha256:" in line for line in text.splitlines())
    assert "://" not in text
    assert "index" not in re.sub(PIN, "", text)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_requirements_have_the_versions_that_the_tests_run_with(file: Path) -> None:
    tested = pins(ROOT / "requirements.txt")
    both = pins(file).keys() & tested.keys()
    assert both
    assert {name: pins(file)[name] for name in both} == {name: tested[name] for name in both}


def test_training_has_the_same_versions_with_a_gpu_and_without() -> None:
    without, with_gpu = (pins(FOLDER / f"train-{kind}/requirements.txt") for kind in ("cpu", "gpu"))
    more = {name: version for name, version in with_gpu.items() if name not in without}
    assert with_gpu.pop("mxnet-cu112") == without.pop("mxnet")
    assert with_gpu.items() >= without.items()
    assert all(name.startswith(("nvidia-", "mxnet-")) for name in more)
