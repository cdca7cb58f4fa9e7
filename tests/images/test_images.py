"""Every image: what it is called, what it may do, what is in it, that it runs."""

import re

import docker
import pytest
from docker.models.images import Image

from components import images
from pipelines.images.building import NAMES
from tests.images.containers import BASE, run
from tests.images.test_sources import FOLDER, pins

pytestmark = pytest.mark.docker

# Bytes beyond the base.
LIMITS = {"data": 700e6, "train-cpu": 500e6, "train-gpu": 4.3e9, "serve": 150e6}
STEPS = [
    *(("data", step) for step in ("ingest", "prepare", "evaluate")),
    *(("serve", step) for step in ("serve", "deploy")),
    ("train-cpu", "train"),
    ("train-gpu", "train"),
]
# What KFP runs in a container imports these.
EXECUTED = {
    "data": [
        *("ingest.ingest", "prepare.prepare", "evaluate.evaluate", "notify.notify"),
        *("tune.study", "tune.page"),
    ],
    "train-cpu": ["train.train", "train.trial"],
    "train-gpu": ["train.settings"],
    "serve": ["deploy.deploy", "deploy.targets.kserve", "serve.processes.supervisor"],
}
LOAD_EVERY_LIBRARY = """
import importlib, pathlib, sys
packages = pathlib.Path(sys.prefix, "lib/python3.11/site-packages")
modules = [file.relative_to(packages) for file in packages.rglob("*.cpython-311-*.so")]
assert modules
for file in modules:
    name = ".".join([*file.parent.parts, file.name.partition(".")[0]])
    try:
        importlib.import_module(name)
    except ImportError as error:
        # A package that is not needed may be missing, a library may not.
        if "shared object" in str(error) or "symbol" in str(error) or "ELF" in str(error):
            print(name, error)
"""
LIST_PACKAGES = """
from importlib.metadata import distributions
for package in distributions():
    print(package.name, package.version)
"""
UNWANTED = re.compile(
    r"(^|/)(gcc|g\+\+|cc|cc1|clang|ld|make|pip[0-9.]*|ensurepip.*\.whl)$"
    r"|/site-packages/(pip|setuptools|wheel|pytest|hatchling)(/|$)"
    r"|/tests?(/|$)|(^|/)conftest\.py$|\.(a|h|hpp)$"
    r"|ca-bundle|\.cache(/|$)|(^|/)build/|/apt/lists/.|\.deb$|(^|/)\.(git|aws|docker|pypirc|netrc)$"
)


def test_labels_tell_what_it_is(built: dict[str, Image], name: str) -> None:
    prefix = "org.opencontainers.image."
    labels = {label.removeprefix(prefix): text for label, text in built[name].labels.items()}
    assert labels["title"] == f"alsolike/{name}"
    assert labels["version"] == images.VERSION
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", labels["revision"])
    assert "source" in labels
    assert "@" not in labels["source"].removeprefix("git@")


def test_a_cluster_runs_it_as_it_runs_here(built: dict[str, Image], name: str) -> None:
    config = built[name].attrs["Config"]
    assert not config["Entrypoint"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["User"])
    assert ("Healthcheck" in config) == (name == "serve")


def test_it_is_no_larger_than_it_should_be(
    engine: docker.DockerClient, built: dict[str, Image], name: str
) -> None:
    base = engine.images.get(built[name].labels[BASE])
    assert built[name].attrs["Size"] - base.attrs["Size"] < LIMITS[name]


@pytest.mark.parametrize(("name", "step"), STEPS, ids=lambda value: value)
def test_each_step_starts_in_its_image(engine: docker.DockerClient, name: str, step: str) -> None:
    status, printed = run(engine, NAMES[name], ["python", "-m", f"components.{step}", "--help"])
    assert status == 0, printed
    assert "usage:" in printed


def test_kubeflow_finds_its_executor_and_the_steps(engine: docker.DockerClient, name: str) -> None:
    modules = ", ".join(f"components.{module}" for module in EXECUTED[name])
    program = f"import kfp.dsl.executor_main, {modules}"
    status, printed = run(engine, NAMES[name], ["python3", "-c", program], {"_KFP_RUNTIME": "true"})
    assert (status, printed) == (0, "")


def test_it_writes_nowhere_but_to_tmp(engine: docker.DockerClient, name: str) -> None:
    script = "id -u; touch /tmp/here && ! touch /opt/alsolike/there 2>/dev/null && echo kept"
    status, printed = run(engine, NAMES[name], ["sh", "-c", script])
    assert (status, printed) == (0, "10001\nkept\n")


def test_nobody_may_write_its_files(engine: docker.DockerClient, name: str) -> None:
    search = ["find", "/opt/alsolike", "-perm", "/022", "!", "-type", "l"]
    assert run(engine, NAMES[name], search) == (0, "")


@pytest.mark.slow
def test_every_library_of_a_package_loads(engine: docker.DockerClient, name: str) -> None:
    status, printed = run(engine, NAMES[name], ["python", "-W", "ignore", "-c", LOAD_EVERY_LIBRARY])
    assert (status, printed) == (0, "")


def test_it_holds_nothing_that_builds_or_tests(engine: docker.DockerClient, name: str) -> None:
    # What the base has is not ours to choose.
    status, printed = run(engine, NAMES[name], ["find", "/opt/alsolike", "/tmp", "/build"])
    files = printed.splitlines()
    assert len(files) > 1000
    found = [file for file in files if UNWANTED.search(file)]
    assert found == []
    assert status == 1  # there is no /build


def test_it_holds_what_its_requirements_say(engine: docker.DockerClient, name: str) -> None:
    _, printed = run(engine, NAMES[name], ["python", "-c", LIST_PACKAGES])
    held = {
        re.sub(r"[._]", "-", line.split()[0].lower()): line.split()[1]
        for line in printed.splitlines()
    }
    wanted = pins(FOLDER / name / "requirements.txt") | pins(FOLDER / "kfp/requirements.txt")
    assert held == wanted | {"alsolike": images.VERSION}


def test_only_training_has_mxnet(engine: docker.DockerClient, name: str) -> None:
    status, _ = run(
        engine, NAMES[name], ["test", "-e", "/opt/alsolike/lib/python3.11/site-packages/mxnet"]
    )
    assert (status == 0) == name.startswith("train")
