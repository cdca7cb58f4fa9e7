"""The workflows and Dependabot of GitHub: linted, least in permissions, pinned by commit."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
GITHUB_MINUTES = 360
"""After how long GitHub ends a job on its own machines."""
WORKFLOWS = sorted(FOLDER.glob("*.yml"))


def program(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def jobs(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text())["jobs"]
    return found


def test_actionlint_finds_nothing() -> None:
    run = subprocess.run(
        [program("actionlint"), "-shellcheck=", "-pyflakes=", *WORKFLOWS],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (run.returncode, run.stdout) == (0, "")


def test_zizmor_finds_nothing() -> None:
    options = ["--offline", "--persona=pedantic", "--no-progress", str(FOLDER.parent)]
    run = subprocess.run([program("zizmor"), *options], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_nothing_is_permitted_but_by_a_job(file: Path) -> None:
    assert yaml.safe_load(file.read_text())["permissions"] == {}
    for job in jobs(file).values():
        writes = {scope for scope, right in job["permissions"].items() if right == "write"}
        assert writes <= {"packages", "pull-requests"}
        assert job["timeout-minutes"] <= GITHUB_MINUTES


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(file: Path) -> None:
    uses = re.findall(r"uses: (.*)", file.read_text())
    assert uses
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", use) for use in uses)


def test_a_job_that_may_write_to_pull_requests_runs_no_code_of_theirs() -> None:
    for file in WORKFLOWS:
        for job in jobs(file).values():
            if job["permissions"].get("pull-requests") == "write":
                assert not any("uses" in step for step in job["steps"])


@pytest.mark.parametrize(
    "told", ["docs/runbook.md", "pipelines/manifests/service-accounts.yaml"], ids=str
)
def test_the_token_for_ci_that_is_told_outlasts_a_whole_release(told: str) -> None:
    """It is stored before the release, and nothing in it renews the token."""
    release = jobs(FOLDER / "release.yml").values()
    assert any("secrets.ALSOLIKE_KFP_TOKEN" in str(job) for job in release)
    durations = re.findall(r"--duration=(\d+)h", (ROOT / told).read_text())
    assert durations
    minutes = sum(job["timeout-minutes"] for job in release)
    assert all(60 * int(hours) > minutes for hours in durations)


def test_secrets_go_to_the_steps_that_need_them_and_never_into_a_script() -> None:
    for file in WORKFLOWS:
        for job in jobs(file).values():
            assert "secrets." not in str(job.get("env", ""))
            assert all("${{" not in step.get("run", "") for step in job["steps"])
            if "secrets." in str(job):
                assert job["environment"] in ("staging", "production")
