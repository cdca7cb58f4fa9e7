"""Look up known vulnerabilities of the packages in the images, less the written exceptions."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import UserError
from pipelines.images.exceptions import KnownFinding

FOLDER = Path(__file__).parents[2] / "images"


@dataclass(frozen=True)
class Finding:
    """A known vulnerability of a package in an image."""

    package: str
    version: str
    names: frozenset[str]
    """The finding's id, and its aliases in other databases."""
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        remedy = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "not fixed"
        return f"{self.package} {self.version}: {', '.join(sorted(self.names))}, {remedy}"


def audit(names: Iterable[str], osv_url: str | None = None) -> set[Finding]:
    """Look up every package of these images.

    Args:
        names: the images' short names.
        osv_url: the server to ask, in the protocol of https://osv.dev; None for OSV's public
            server, which has the advisories of PyPA and GitHub.

    Raises:
        UserError: if a package cannot be looked up.
    """
    return set().union(*(parse(_look_up(name, osv_url)) for name in names))


def _look_up(name: str, osv_url: str | None) -> str:
    files = (FOLDER / name / "requirements.txt", FOLDER / "kfp" / "requirements.txt")
    command = [
        *(sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"),
        *("--format=json", "--progress-spinner=off", "--vulnerability-service=osv"),
        *([f"--osv-url={osv_url}"] if osv_url else []),
        *(f"--requirement={file}" for file in files),
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    if not run.stdout:
        last = run.stderr.strip().rpartition("\n")[2]
        raise UserError(
            f"the packages of {name} could not be looked up ({last}): where the public server of "
            "OSV cannot be reached, name another that has its data (--osv-url, or OSV_URL= of make)"
        )
    return run.stdout


def parse(answer: str) -> set[Finding]:
    """Read the JSON of pip-audit.

    Raises:
        UserError: if packages were left out, because nothing is known about them.
    """
    packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        raise UserError(
            f"{len(skipped)} packages could not be looked up, {skipped[0]} among them: "
            "pip-audit -v tells why"
        )
    return {
        Finding(
            package["name"],
            package["version"],
            frozenset([found["id"], *found["aliases"]]),
            tuple(found["fix_versions"]),
        )
        for package in packages
        for found in package["vulns"]
    }


def find_problems(findings: Iterable[Finding], exceptions: Sequence[KnownFinding]) -> list[str]:
    """The problems, one line for each: findings without an exception, and outdated exceptions."""
    found = sorted(findings, key=str)
    excepted = [
        {finding for finding in found if one.package == finding.package and one.id in finding.names}
        for one in exceptions
    ]
    new = [
        f"{finding}: update it, or write an exception with its reasons"
        for finding in found
        if finding not in set().union(*excepted)
    ]
    stale = [
        f"{one.package}: {one.id} is no longer found: take its exception out"
        for one, findings in zip(exceptions, excepted, strict=True)
        if not findings
    ]
    return new + stale
