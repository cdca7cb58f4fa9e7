"""The rules of the house: which part of the code may import which."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for package in ("components", "pipelines")
    for file in sorted((ROOT / package).rglob("*.py"))
}
STEPS = ("ingest", "prepare", "train", "evaluate", "deploy", "serve", "notify", "tune")

Floors = tuple[tuple[str, ...], ...]

# Each floor may import its own parts and the floors after it, never one before it.
FLOORS: Floors = (
    ("pipelines.command",),
    ("pipelines.kubeflow", "pipelines.local", "pipelines.images"),
    ("pipelines.compile",),
    ("pipelines.training", "pipelines.tuning"),
    ("pipelines.definition",),
    ("components",),
)
# So within the server: HTTP knows nothing of models, and handlers nothing of processes.
SERVER_FLOORS: Floors = (
    ("components.serve.__main__",),
    ("components.serve.processes",),
    ("components.serve.handlers",),
    ("components.serve.inference",),
    ("components.serve.protocol", "components.serve.metrics", "components.serve.settings"),
)


def imported(module: str) -> Iterator[str]:
    """The modules of ours that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in below]
        else:
            continue
        yield from (name for name in names if name in MODULES)


def outside(module: str) -> set[str]:
    """The packages of others that a module imports."""
    nodes = list(ast.walk(ast.parse(MODULES[module].read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def floor(module: str, floors: Floors) -> int | None:
    for number, rooms in enumerate(floors):
        if any(within(module, room) for room in rooms):
            return number
    return None


def above(module: str, floors: Floors) -> list[str]:
    """What a module imports from a floor above its own."""
    own = floor(module, floors) or 0
    return [name for name in imported(module) if (floor(name, floors) or 0) < own]


@pytest.mark.parametrize("module", MODULES)
def test_no_import_goes_upwards(module: str) -> None:
    assert floor(module, FLOORS) is not None or module == "pipelines"
    found = above(module, FLOORS)
    assert not found, f"{module} imports from a floor above it: {found}"


@pytest.mark.parametrize("module", [each for each in MODULES if within(each, "components.serve")])
def test_no_import_in_the_server_goes_upwards(module: str) -> None:
    assert floor(module, SERVER_FLOORS) is not None or module == "components.serve"
    names = [name for name in imported(module) if within(name, "components.serve")]
    found = set(names) & set(above(module, SERVER_FLOORS))
    assert not found, f"{module} imports from a floor above it: {found}"


def test_no_import_is_in_a_circle() -> None:
    # A package's own imports run whenever one of its modules is imported.
    TopologicalSorter({module: set(imported(module)) - {module} for module in MODULES}).prepare()


@pytest.mark.parametrize("step", STEPS)
def test_no_step_knows_another(step: str) -> None:
    others = [f"components.{other}" for other in STEPS if other != step]
    known = {
        (module, name)
        for module in MODULES
        if within(module, f"components.{step}")
        for name in imported(module)
        if any(within(name, other) for other in others)
    }
    assert not known, f"what two steps share belongs in components/artifacts: {known}"


@pytest.mark.parametrize("module", MODULES)
def test_a_library_stays_where_it_is_needed(module: str) -> None:
    """Images hold only what their step needs, and MXNet pins an old NumPy."""
    used = outside(module)
    if not within(module, "components.train"):
        assert "mxnet" not in used
    if within(module, "components.serve"):
        assert used.isdisjoint({"pandas", "polars", "pyarrow", "kfp"})
    if within(module, "components") and not module.endswith(".component"):
        assert "kfp" not in used
