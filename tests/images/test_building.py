"""Building: what the engine is given, and what a person reads."""

import tarfile
from pathlib import Path
from typing import Any

import pytest

from components.errors import UserError
from pipelines.images.building import NAMES, check_platform, open_context, print_steps, select


def context(monkeypatch: pytest.MonkeyPatch, certificates: str = "") -> dict[str, bytes]:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("PIP_CERT", certificates)
    with open_context() as file, tarfile.open(fileobj=file) as tar:
        members = [member for member in tar if member.isfile()]
        found = {member.name: tar.extractfile(member) for member in members}
        return {name: content.read() for name, content in found.items() if content}


def test_all_images_are_built_unless_some_are_named() -> None:
    assert select([]) == ["data", "train-cpu", "train-gpu", "serve"]
    assert select(["serve"]) == ["serve"]


def test_an_unknown_image_is_named_beside_those_there_are() -> None:
    with pytest.raises(UserError, match="no image 'server': give some of data, train-cpu"):
        select(["serve", "server"])


def test_the_engine_is_given_sources_and_requirements_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = context(monkeypatch)
    assert {"pyproject.toml", "LICENSE", "images/Dockerfile", "components/images.py"} <= set(given)
    tops = {name.split("/")[0] for name in given}
    assert tops - {".dockerignore"} == {"LICENSE", "components", "images", "pyproject.toml"}
    assert not [name for name in given if "__pycache__" in name]


def test_the_certificates_of_a_proxy_are_given_to_pip_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "proxy.pem"
    bundle.write_text("of a proxy")
    assert "images/ca-bundle.pem" not in context(monkeypatch)
    assert context(monkeypatch, str(bundle))["images/ca-bundle.pem"] == b"of a proxy"
    # A missing file is no reason to stop: pip itself will say what it misses.
    assert "images/ca-bundle.pem" not in context(monkeypatch, str(tmp_path / "none.pem"))


def test_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    stream = [
        {"stream": "Step 1/3 : ARG IMAGE=data"},
        {"stream": "\n"},
        {"stream": "Step 2/3 : RUN one     && two"},
        {"stream": " ---> Using cache\n"},
    ]
    print_steps("data", stream, print)
    assert capsys.readouterr().out == "data: 2/3 RUN one && two\n"


def test_a_failure_shows_its_last_output_and_the_step(capsys: pytest.CaptureFixture[str]) -> None:
    stream: list[dict[str, Any]] = [
        {"stream": "Step 1/2 : FROM base AS builder"},
        {"stream": "Step 2/2 : RUN /build/tools.sh"},
        *({"stream": f"line {number}\n"} for number in range(30)),
        {"error": "it returned a\nnon-zero code: 1"},
    ]
    with pytest.raises(UserError) as failure:
        print_steps("serve", stream, print)
    line = "image serve was not built, at 'RUN /build/tools.sh': it returned a non-zero code: 1"
    assert str(failure.value) == line
    said = capsys.readouterr().out.splitlines()
    assert said[-1].strip() == "line 29"
    assert len([line for line in said if line.startswith("  ")]) == 20


def test_a_base_that_cannot_be_pulled_leads_to_the_option() -> None:
    stream = [{"stream": "Step 3/35 : FROM ${BASE_IMAGE} AS builder"}, {"error": "no such host"}]
    with pytest.raises(UserError, match=r"--base-image names another$"):
        print_steps("serve", stream, print)


def test_training_is_built_where_mxnet_is() -> None:
    class Arm:
        def version(self) -> dict[str, str]:
            return {"Arch": "arm64"}

    with pytest.raises(
        UserError, match="for linux/arm64, because MXNet exists for linux/amd64 only"
    ):
        check_platform(Arm(), "train-gpu", None)
    check_platform(Arm(), "serve", None)
    check_platform(Arm(), "train-cpu", "linux/amd64")


def test_short_names_are_those_of_the_pipeline() -> None:
    assert all(image.startswith(f"alsolike/{name}:") for name, image in NAMES.items())
