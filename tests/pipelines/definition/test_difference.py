"""The difference between two compiled pipelines shows what a reviewer must know."""

from dataclasses import replace
from pathlib import Path

import yaml

from pipelines.definition.difference import difference, outline
from pipelines.definition.package import Package, read_package


def changed(package: Package, tmp_path: Path, old: str, new: str) -> Package:
    file = tmp_path / "changed.yaml"
    text = package.path.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return read_package(file)


def test_the_same_pipeline_has_no_difference(package: Package) -> None:
    assert difference(package, replace(package, digest="")) == ""


def test_a_new_image_and_a_new_default_are_shown(package: Package, tmp_path: Path) -> None:
    image = changed(package, tmp_path, "alsolike/train-cpu:1", "alsolike/train-cpu:2")
    shown = difference(package, image).splitlines()
    assert '-step train: image = "alsolike/train-cpu:1"' in shown
    assert '+step train: image = "alsolike/train-cpu:2"' in shown
    default = changed(package, tmp_path, "defaultValue: auto", "defaultValue: gpu")
    assert '+parameter device: string = "gpu"' in difference(package, default).splitlines()


def test_code_is_left_out(package: Package, tmp_path: Path) -> None:
    assert difference(package, changed(package, tmp_path, "print(ratings", "print( ratings")) == ""


def test_order_caching_and_the_pod_are_in_the_outline(package: Package, tmp_path: Path) -> None:
    executors = {"exec-train": {"nodeSelector": {"labels": {"gpu": "t4"}}}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    file = tmp_path / "platform.yaml"
    file.write_text(f"{package.path.read_text()}---\n{yaml.safe_dump(platform)}")
    lines = list(outline(read_package(file)))
    assert 'step train: after = ["ingest"]' in lines
    assert "step train: cached = true" in lines
    assert 'step train: pod.nodeSelector.labels.gpu = "t4"' in lines
    assert 'step ingest: shown as = "Ingest ratings"' in lines
