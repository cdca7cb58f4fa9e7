"""The environment files: those that ship are whole, and a wrong one says where."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.errors import UserError
from pipelines.definition import environment
from pipelines.definition.environment import Access, load_environment

SHIPPED = ("dev", "prod")


def write(tmp_path: Path, change: dict[str, Any]) -> str:
    folder = Path(load_environment.__code__.co_filename).parents[1] / "environments"
    content = yaml.safe_load((folder / "prod.yaml").read_text())
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(content | change))
    return str(file)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_environments_that_ship_are_valid(name: str) -> None:
    assert load_environment(name).registry == "registry.example.com"


def test_an_endpoint_and_an_access_on_the_command_line_come_first() -> None:
    given = load_environment("dev", endpoint="http://127.0.0.1:8080", access=Access.COOKIE)
    assert given.kubeflow.endpoint == "http://127.0.0.1:8080"
    assert given.kubeflow.access is Access.COOKIE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"registry": "https://registry.example.com"}, "registry='https://registry"),
        ({"bucket": "My_Bucket"}, "bucket='My_Bucket'"),
        ({"gpu": {"count": 0}}, "gpu.count=0"),
        ({"gpu": {"kind": "T4"}}, "gpu.kind='T4'"),
        ({"kubeflow": {"experiment": "x", "access": "magic"}}, "kubeflow.access='magic'"),
        ({"kubeflow": {"experiment": "x", "endpoint": "cluster"}}, "kubeflow.endpoint='cluster'"),
        ({"kubeflow": {"experiment": "x", "scheduler_time_zone": "CET/Bonn"}}, "time zone"),
        ({"image_pull_secrets": ["Not A Name"]}, "image_pull_secrets.0='Not A Name'"),
        ({"steps": {}}, "steps.train: "),
        ({"regoin": "x"}, "regoin='x'"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError) as refused:
        load_environment(write(tmp_path, change))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("memory", "cpu"), [("4 GB", "1"), ("4gb", "1"), ("4Gi", "one"), ("4Gi", "1.5m")]
)
def test_resources_are_written_as_kubernetes_writes_them(
    tmp_path: Path, memory: str, cpu: str
) -> None:
    steps = load_environment("prod").steps.model_dump(mode="json")
    steps["train"] |= {"memory": memory, "cpu": cpu}
    with pytest.raises(UserError, match=r"steps\.train"):
        load_environment(write(tmp_path, {"steps": steps}))


def test_an_unknown_environment_says_which_there_are() -> None:
    with pytest.raises(UserError, match="give one of dev, prod"):
        load_environment("production")


@pytest.mark.parametrize("content", ["a: [", "- a", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(UserError, match=r"mine\.yaml"):
        load_environment(str(file))


def test_images_are_pulled_by_tag_until_they_are_locked(tmp_path: Path) -> None:
    free = load_environment("prod")
    assert free.image("alsolike/data:1") == "registry.example.com/alsolike/data:1"
    digest = f"sha256:{'a' * 64}"
    locked = load_environment(write(tmp_path, {"digests": {"alsolike/data:1": digest}}))
    assert locked.image("alsolike/data:1") == f"registry.example.com/alsolike/data@{digest}"
    with pytest.raises(UserError, match=r"alsolike/data:2 is not: push it"):
        locked.image("alsolike/data:2")


def test_the_lock_of_the_checkout_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "images.lock"
    monkeypatch.setattr(environment, "LOCK", lock)
    lock.write_text(json.dumps({"alsolike/data:1": f"sha256:{'b' * 64}"}))
    assert load_environment("dev").image("alsolike/data:1").endswith("b" * 64)
    lock.write_text(json.dumps({"alsolike/data:1": "latest"}))
    with pytest.raises(UserError, match=r"digests\.alsolike/data:1='latest'"):
        load_environment("dev")
    lock.write_text("{")
    with pytest.raises(UserError, match="push the images again"):
        load_environment("dev")
