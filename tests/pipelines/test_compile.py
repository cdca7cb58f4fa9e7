"""The pipeline that ships is the pipeline of the code, with settings that people can read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from components.deploy.settings import DeploySettings
from components.evaluate.settings import EvaluateSettings
from components.ingest.settings import IngestSettings
from components.prepare.settings import PrepareSettings
from components.train.settings import TrainSettings
from pipelines.compile import compile_pipeline
from pipelines.definition.environment import load_environment
from pipelines.definition.package import SHIPPED, read_package

SETTINGS: tuple[type[BaseModel], ...] = (
    IngestSettings,
    PrepareSettings,
    TrainSettings,
    EvaluateSettings,
    DeploySettings,
)
# Steps ask for the champion and the version themselves, so the UI does not.
INTERNAL = {"champion"}


def test_the_shipped_pipeline_is_that_of_the_code(tmp_path: Path) -> None:
    compile_pipeline(tmp_path / "pipeline.yaml")
    assert (tmp_path / "pipeline.yaml").read_bytes() == SHIPPED.read_bytes(), "run: make compile"


@pytest.mark.slow
def test_another_process_compiles_the_same_bytes(tmp_path: Path) -> None:
    here, there = tmp_path / "here.yaml", tmp_path / "there.yaml"
    compile_pipeline(here, load_environment("prod"))
    alsolike = str(Path(sys.executable).with_name("alsolike"))
    # Sets iterate in another order with another seed; that of this process is drawn.
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    command = [alsolike, "compile", "--environment=prod", f"--output={there}"]
    subprocess.run(command, env=environment, check=True)
    assert here.read_bytes() == there.read_bytes()
    assert sorted(tmp_path.iterdir()) == [here, there], "temporary files are left"


def test_every_setting_of_a_step_is_a_parameter_of_the_pipeline() -> None:
    declared = read_package(SHIPPED).pipeline.root.input_definitions.parameters
    wanted = {name for kind in SETTINGS for name in kind.model_fields} - INTERNAL
    assert wanted <= set(declared)
    assert all(parameter.description for parameter in declared.values())
