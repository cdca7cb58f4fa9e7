"""What a person gives to make comes to the command as it was given."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ODD = """gate=[{"metric": "mse"}] title='a $HOME `b` $(c)' \\"""


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder whose `alsolike` prints what it is given."""
    command = tmp_path / "alsolike"
    command.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    command.chmod(0o755)
    return tmp_path


def make(commands: Path, target: str, variables: dict[str, str]) -> list[str]:
    # Where make has a meaning for a dollar sign, it is doubled.
    given = [f"{name}={value.replace('$', '$$')}" for name, value in variables.items()]
    ended = subprocess.run(
        ["make", "--silent", target, f"BIN={commands}", "READY=", *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    words: list[str] = json.loads(ended.stdout)
    return words


@pytest.mark.parametrize(
    ("target", "variables", "words"),
    [
        ("run", {"SOURCE": ODD, "PARAMS": ODD}, ["run", "--source", ODD, "--params", ODD]),
        ("tune", {"SOURCE": ODD, "PARAMS": ODD}, ["tune", "--source", ODD, "--params", ODD]),
        ("tune", {}, ["tune"]),
        ("serve", {"PORT": ODD}, ["serve", "--port", ODD]),
        ("images", {"NETWORK": ODD}, ["images", "build", "--network", ODD]),
        (
            "images",
            {"IMAGES": "data serve", "REGISTRY": ODD, "BASE_IMAGE": ODD},
            ["images", "build", "data", "serve", "--registry", ODD, "--base-image", ODD],
        ),
        (
            "push",
            {"IMAGES": "data serve", "REGISTRY": ODD},
            ["images", "push", "--registry", ODD, "data", "serve"],
        ),
        ("audit", {"OSV_URL": ODD}, ["images", "audit", "--osv-url", ODD]),
    ],
)
def test_words_stay_as_they_were_given(
    commands: Path, target: str, variables: dict[str, str], words: list[str]
) -> None:
    assert make(commands, target, variables) == words
