"""Containers of a run: a failure is one, they have no rights to spare, what is missing is told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kfp import dsl, local
from kfp.local import config, docker_task_handler

from components import images
from components.errors import UserError
from pipelines.images.engine import connect
from pipelines.local.containers import docker_runner, run_of_containers


@dsl.container_component
def failing() -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image=images.SERVE, command=["sh", "-c", "exit 3"])


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> local.DockerRunner:
    """The runner, for as long as a test lasts."""
    original = docker_task_handler.run_docker_container
    monkeypatch.setattr(docker_task_handler, "run_docker_container", original)
    monkeypatch.setattr(config.LocalExecutionConfig, "instance", None)
    runner = docker_runner("test", {"destination": str(tmp_path / "endpoint")})
    local.init(runner, pipeline_root=str(tmp_path), workspace_root=str(tmp_path))
    return runner


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.usefixtures("runner")
def test_a_container_that_fails_is_never_a_success() -> None:
    for _ in range(50):
        with pytest.raises(RuntimeError, match="FAILURE"):
            failing()


@pytest.mark.docker
def test_a_container_has_no_rights_to_spare(
    runner: local.DockerRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "endpoint" / "there"
    script = f"""id -u
grep CapEff /proc/self/status
! touch /anywhere 2>/dev/null && touch /tmp/here {there} && echo kept apart"""
    arguments = dict(runner.container_run_args)
    code = docker_task_handler.run_docker_container(
        connect(), images.SERVE, ["sh", "-c", script], {}, **arguments
    )
    assert code == 0
    printed = capsys.readouterr().out.split("\n")
    assert printed[0] == str(os.getuid())
    assert printed[1].split() == ["CapEff:", "0000000000000000"]
    assert "kept apart" in printed
    assert there.stat().st_uid == os.getuid()


@pytest.mark.docker
def test_an_image_that_is_not_built_is_told() -> None:
    with (
        pytest.raises(UserError, match=r"has no alsolike/nowhere:0: build first \(make images\)"),
        run_of_containers({images.SERVE, "alsolike/nowhere:0"}),
    ):
        pass


def test_a_machine_without_an_engine_is_told_in_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [Path(sys.executable).with_name("alsolike"), "run", "--docker"],
        cwd=tmp_path,
        env=os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    [line] = ended.stderr.strip().splitlines()
    assert line.startswith(f"error: no Docker engine answers at unix://{tmp_path}/docker.sock: ")
    assert "start one" in line
    assert not (tmp_path / "runs").exists()
