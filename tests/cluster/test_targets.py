"""Rollouts to each target of the cluster, with clients that ask all the time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components import images
from components.artifacts.bundles import open_store
from components.deploy.bundle import write_bundle
from tests.cluster.stand import SERVICE, Ended, Stand
from tests.serve.bundles import make_model
from tests.serve.bundles import write_bundle as write_model

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

CANDIDATE = {"kserve": "recommender-candidate-predictor", "kubernetes": "recommender-candidate"}

Deployments = Callable[..., Ended]


@pytest.fixture(scope="module")
def destination(stand: Stand) -> str:
    """A bundle store of these tests."""
    return f"{stand.content['parameters']['destination']}-of-targets"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory, destination: str) -> list[str]:
    """Three versions that are stored."""
    folder = tmp_path_factory.mktemp("versions")
    return [_stored(folder / str(seed), seed, destination) for seed in range(3)]


def _stored(folder: Path, seed: int, destination: str) -> str:
    write_bundle(folder / "bundle", write_model(folder / "model", make_model(seed=seed)))
    return open_store(destination).add(folder / "bundle")


@pytest.fixture(params=["kserve", "kubernetes"])
def target(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def deployments(stand: Stand, target: str, destination: str) -> Iterator[Deployments]:
    """The command `alsolike deployments` on the target, whose candidate it reaches from here."""
    with stand.namespace.proxy() as address_of:
        fixed = {"target": target, "destination": destination, "kserve_mode": "standard"}
        fixed |= {"probe_address": address_of(CANDIDATE[target]), "max_latency_ms": "5000"}

        def run(*arguments: str, **given: str) -> Ended:
            return stand.alsolike("deployments", *arguments, *_options(fixed | given))

        yield run


def _options(given: dict[str, str]) -> list[str]:
    return [part for name, value in given.items() for part in ("--param", f"{name}={value}")]


def test_no_request_fails_whatever_is_rolled_out(
    stand: Stand, target: str, versions: list[str], deployments: Deployments
) -> None:
    one, two, three = versions

    def check(ended: Ended, version: str) -> None:
        assert ended.code == 0, ended.output
        assert stand.served(target) == [version]

    check(deployments("promote", one), one)
    with stand.namespace.load(SERVICE[target]) as answers:
        check(deployments("promote", two), two)
        check(deployments("promote", three), three)
        check(deployments("promote", three), three)
        check(deployments("rollback"), two)
        _check_failures(stand, deployments, versions, target)
        check(deployments("promote", one), one)
        asked = answers()
    assert len(asked) > 100
    assert set(asked) == {"200"}


def _check_failures(
    stand: Stand, deployments: Deployments, versions: list[str], target: str
) -> None:
    """A version that never gets ready, and one in whose place another answers."""
    _, two, three = versions
    nonesuch = f"{stand.content['registry']}/{images.SERVE}-nonesuch"
    never_ready = deployments("promote", three, serve_image=nonesuch, ready_seconds="120")
    assert never_ready.code == 1
    assert "check serve_image" in never_ready.output
    assert stand.served(target) == [two]
    with stand.namespace.proxy() as address_of:
        wrong = deployments("promote", three, probe_address=address_of(SERVICE[target]))
    assert wrong.code == 1
    assert f"serves version {two}, not {three}" in wrong.output
    assert stand.served(target) == [two]


def test_a_version_whose_pods_are_refused_is_told_at_once(
    stand: Stand, target: str, versions: list[str], deployments: Deployments
) -> None:
    one, two, _ = versions
    assert deployments("promote", one).code == 0
    with stand.namespace.full():
        refused = deployments("promote", two, ready_seconds="3000")
    assert refused.code == 1
    assert "its pods are refused: " in refused.output
    assert "exceeded quota" in refused.output
    assert stand.served(target) == [one]


def test_a_deployment_that_was_killed_is_coped_with_by_the_next(
    stand: Stand,
    target: str,
    versions: list[str],
    destination: str,
    deployments: Deployments,
) -> None:
    one, two, _ = versions
    assert deployments("promote", one).code == 0
    options = _options({"target": target, "destination": destination, "kserve_mode": "standard"})
    stand.kill_when(
        lambda: stand.namespace.pods_of_version(two), "deployments", "promote", two, *options
    )
    assert stand.served(target) == [one]
    again = deployments("promote", two)
    assert again.code == 0, again.output
    assert stand.served(target) == [two]
