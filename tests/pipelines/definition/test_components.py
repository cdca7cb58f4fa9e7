"""A parameter is stated once: a field of a step's settings reaches everything that takes it."""

import inspect
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from components.deploy.settings import DeploySettings
from components.evaluate.settings import EvaluateSettings
from components.ingest.settings import IngestSettings, SourceSettings
from components.prepare.settings import PrepareSettings
from components.train.settings import TrainSettings
from components.tune.settings import TuneSettings
from pipelines.definition import components
from pipelines.definition.package import read_package

ROOT = Path(__file__).parents[3]
FIELD = """
    max_age_years: float | None = Field(default=None, description="Older ratings are left out.")
"""


@pytest.mark.parametrize(
    ("component", "settings"),
    [
        (components.resolve, SourceSettings),
        (components.ingest, IngestSettings),
        (components.prepare, PrepareSettings),
        (components.train, TrainSettings),
        (components.trial, TrainSettings),
        (components.evaluate, EvaluateSettings),
        (components.deploy, DeploySettings),
        (components.ask, TuneSettings),
    ],
)
def test_a_component_has_the_defaults_and_descriptions_of_its_settings(
    component: Any, settings: type[BaseModel]
) -> None:
    inputs = component.component_spec.inputs
    for name, field in settings.model_fields.items():
        # Kubeflow has no parameter without a value: an empty one stands for it.
        default = "" if field.default is None else field.default
        assert inputs[name].optional is not field.is_required()
        assert field.is_required() or inputs[name].default == _plain(default)
        assert " ".join(inputs[name].description.split()) == field.description


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def test_kubeflow_can_read_the_text_of_a_component() -> None:
    text = inspect.getsource(components.prepare.python_func)
    assert text.startswith("def prepare(\n")
    assert "    min_customer_ratings: int = 5,\n" in text


def test_a_new_field_is_a_parameter_everywhere(tmp_path: Path) -> None:
    for folder in ("components", "pipelines"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    settings = tmp_path / "components/prepare/settings.py"
    settings.write_text(settings.read_text() + FIELD)

    def alsolike(*arguments: str) -> str:
        command = "from pipelines.command.main import main; main()"
        ended = subprocess.run(
            [sys.executable, "-c", command, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return ended.stdout

    alsolike("compile", "--local")
    package = read_package(tmp_path / "pipelines/training.yaml")
    added = package.pipeline.root.input_definitions.parameters["max_age_years"]
    assert added.description == "Prepare: Older ratings are left out."
    assert "max_age_years" in package.steps()["prepare"].inputs.parameters
    executor = package.pipeline.deployment_spec["executors"]["exec-prepare"]
    assert "max_age_years: str = ''" in "".join(executor["container"]["command"])
    assert "Older ratings are left out." in alsolike("parameters")
