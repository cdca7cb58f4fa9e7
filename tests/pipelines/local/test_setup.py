"""What set-up says and does where the system lacks something, in a system of stubs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path("pipelines/local/setup.sh").resolve()
LACKS = "error: there is no Python 3.11 with venv"
COMMAND = "apt-get install --yes python3.11 python3.11-venv"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A folder that alone is searched for commands, with those that any system has."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("bash", "env", "mv", "true"):
        (commands / name).symlink_to(shutil.which(name) or name)
    return commands


def add(system: Path, name: str, script: str) -> None:
    command = system / name
    command.write_text(f"#!{system}/bash\n{script}\n")
    command.chmod(0o755)


def add_user(system: Path, number: int) -> None:
    add(system, "id", f"echo {number}")


def set_up(system: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [system / "bash", SETUP, "python3.11", system.parent / "venv"],
        env={"PATH": str(system), "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )


def stopped(system: Path) -> str:
    """What set-up says when it stops, which is one line."""
    ended = set_up(system)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert not ended.stdout
    return line


def test_without_rights_the_command_to_type_is_told(system: Path) -> None:
    add_user(system, 1000)
    add(system, "apt-get", "exit 100")
    assert stopped(system) == f"{LACKS}: type: sudo {COMMAND}"


def test_a_system_without_apt_is_told_what_to_install(system: Path) -> None:
    add_user(system, 0)
    assert stopped(system) == f"{LACKS}: install it with this system's package manager"


def test_packages_that_cannot_be_had_are_told(system: Path) -> None:
    add_user(system, 0)
    add(system, "apt-get", "echo noise; exit 100")
    assert stopped(system) == f"{LACKS}, and it cannot be installed: type: sudo {COMMAND}"


def test_another_python_is_named(system: Path) -> None:
    add(system, "python3.11", '[ "$1" = --version ] && echo Python 3.12.1')
    assert stopped(system).startswith("error: python3.11 is Python 3.12.1, and MXNet runs on 3.11")


@pytest.mark.parametrize("user", [0, 1000])
def test_a_missing_python_is_installed_where_that_is_allowed(system: Path, user: int) -> None:
    add_user(system, user)
    add(system, "sudo", '[ "$1" = --non-interactive ] && exec "${@:2}"')
    without_pip = f'[ "$1" = -m ] && exec {sys.executable} -m venv --without-pip "$3"'
    add(system, "aside", f'{without_pip}\nexec {sys.executable} "$@"')
    add(system, "apt-get", f'[ "$1" = update ] || mv "{system}/aside" "{system}/python3.11"')
    ended = set_up(system)
    assert not ended.returncode, ended.stderr
    assert (system.parent / "venv/bin/python").exists()


def test_uv_gets_a_missing_python_and_an_environment_can_be_set_up_again(system: Path) -> None:
    # What --seed adds comes from a registry.
    uv = Path(sys.executable).with_name("uv")
    add(system, "uv", f'exec {uv} --offline "${{@/--seed/--no-config}}"')
    (system / "python3").symlink_to(sys.executable)
    for _ in range(2):
        ended = set_up(system)
        assert not ended.returncode, ended.stderr
    assert (system.parent / "venv/bin/python").exists()
