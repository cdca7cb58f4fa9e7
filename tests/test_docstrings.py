"""What functions and commands must say of their parameters."""

import ast
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from pipelines.command.main import app
from tests.test_imports import MODULES, within

Function = ast.FunctionDef | ast.AsyncFunctionDef

MANY = 3
"""So many parameters need a description each."""


def public_functions(node: ast.AST) -> Iterator[Function]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, Function):
            if not inner.name.startswith("_"):
                yield inner
        elif not (isinstance(inner, ast.ClassDef) and inner.name.startswith("_")):
            yield from public_functions(inner)


def parameters(function: Function) -> list[str]:
    given = function.args
    several = [each for each in (given.vararg, given.kwarg) if each]
    found = [*given.posonlyargs, *given.args, *given.kwonlyargs, *several]
    return [each.arg for each in found if each.arg not in ("self", "cls")]


# The parameters of a command are its options, which have a help text.
@pytest.mark.parametrize(
    "module", [each for each in MODULES if not within(each, "pipelines.command")]
)
def test_public_functions_describe_their_parameters(module: str) -> None:
    undescribed = [
        f"{function.name}: {name}"
        for function in public_functions(ast.parse(MODULES[module].read_text()))
        if len(names := parameters(function)) >= MANY
        for name in names
        if f"\n    {name}: " not in (ast.get_docstring(function) or "")
    ]
    assert not undescribed, f"name them in the section Args of the docstring: {undescribed}"


def commands(command: Any) -> Iterator[Any]:
    """A command, or the commands of a group; Typer's are of no public class."""
    if not hasattr(command, "commands"):
        yield command
        return
    for inner in command.commands.values():
        yield from commands(inner)


@pytest.mark.parametrize(
    "command", list(commands(typer.main.get_command(app))), ids=lambda command: command.name
)
def test_commands_describe_their_options(command: Any) -> None:
    undescribed = [each.name for each in command.params if not getattr(each, "help", None)]
    assert not undescribed, f"give them a help text: {undescribed}"
