"""What the command says at the end of a run."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from components.artifacts.lists import SCHEMA
from components.errors import UserError
from pipelines.command import main
from pipelines.local.run import ENDPOINT
from tests.serve.bundles import make_model, write_bundle


def said_to_serve(destination: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The command that a run says will serve what it deployed to a destination."""
    summary = {
        "report": "report.html",
        "folder": "runs/one",
        "destination": destination,
        "endpoint": {"checked": True, "version": "abc"},
    }

    def run(*_: Any, **__: Any) -> dict[str, Any]:
        return summary

    monkeypatch.setattr(main, "run_locally", run)
    monkeypatch.setattr(sys, "argv", [str(Path(sys.executable).with_name("alsolike"))])
    ended = CliRunner().invoke(main.app, ["run"])
    return ended.output.partition("Serve it ")[2].strip()


def test_what_lies_where_the_runs_do_is_served_by_make(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said_to_serve(str(ENDPOINT.resolve()), monkeypatch) == "make serve"


@pytest.mark.parametrize("destination", ["/my models/endpoint", "s3://shop/models"])
def test_what_lies_elsewhere_is_served_by_programs_that_are_there(
    destination: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = said_to_serve(destination, monkeypatch).split(" && ")
    words = [shlex.split(command) for command in commands]
    assert all(shutil.which(program) for program, *_ in words), words
    assert any(word.startswith(destination) for command in words for word in command)
    assert words[-1][1:3] == ["serve", "--bundle"]


def test_lists_for_everyone_are_those_of_what_the_runs_deployed(tmp_path: Path) -> None:
    write_bundle(tmp_path / "runs" / ENDPOINT.name / "current", make_model(customers=30))
    file = tmp_path / "lists" / "lists.parquet"
    words = ["recommend", "--all", "--output", str(file), "--runs", str(tmp_path / "runs")]
    ended = CliRunner().invoke(main.app, [*words, "-n", "3"])
    assert ended.output == f"{file}: 90 rows for 30 customers\n"
    assert pq.read_schema(file) == SCHEMA


def test_whom_to_recommend_to_must_be_said(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main.app, ["recommend", "--output", str(tmp_path / "lists.parquet")])
    assert isinstance(ended.exception, UserError)
    assert "--all" in str(ended.exception)
