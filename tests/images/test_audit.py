"""The audit: a finding is mended or has its reasons, and what was not looked up is not clean."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.errors import UserError
from pipelines.command.images import app
from pipelines.images.audit import Finding, audit, find_problems, parse
from pipelines.images.exceptions import Exceptions, KnownFinding

ROOT = Path(__file__).parents[2]
CLEAN = {"name": "polars", "version": "2.1.0", "vulns": []}
WEAK = {
    "name": "mxnet",
    "version": "1.9.1",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": [], "description": "…"}],
}
EXCEPTION = KnownFinding(
    id="CVE-1",
    package="mxnet",
    unreachable="the step never parses what is not its own",
    isolation="no capabilities, no writable file system",
)


def findings(*packages: object) -> set[Finding]:
    return parse(json.dumps({"dependencies": packages}))


def test_a_finding_without_an_exception_is_told() -> None:
    (line,) = find_problems(findings(CLEAN, WEAK), [])
    assert line.startswith("mxnet 1.9.1: CVE-1, PYSEC-1, not fixed: update it, or write")


def test_a_finding_is_excepted_by_any_of_its_names() -> None:
    assert find_problems(findings(CLEAN, WEAK), [EXCEPTION]) == []


def test_an_exception_that_is_no_longer_needed_is_told() -> None:
    assert find_problems(findings(CLEAN), [EXCEPTION]) == [
        "mxnet: CVE-1 is no longer found: take its exception out"
    ]


def test_an_exception_is_of_one_package() -> None:
    elsewhere = EXCEPTION.model_copy(update={"package": "polars"})
    assert len(find_problems(findings(CLEAN, WEAK), [elsewhere])) == 2


def test_a_package_that_was_not_looked_up_is_not_clean() -> None:
    with pytest.raises(UserError, match="1 packages could not be looked up, numpy among them"):
        findings(CLEAN, {"name": "numpy", "skip_reason": "not found"})


WEAK_NUMPY: dict[str, object] = {
    "id": "PYSEC-2",
    "aliases": ["CVE-2"],
    "summary": "…",
    "affected": [
        {
            "package": {"name": "numpy", "ecosystem": "PyPI"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9.9"}]},
            ],
        }
    ],
}


@contextmanager
def osv(*known: dict[str, object], asked: set[tuple[str, str]] | None = None) -> Iterator[str]:
    """The address of a server in OSV's protocol that tells all it knows of numpy."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = query["package"]["name"]
            if asked is not None:
                asked.add((name, query["version"]))
            answer = {"vulns": known} if known and name == "numpy" else {}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}/v1/query"
        serving.shutdown()
        thread.join()


def test_every_package_of_an_image_is_looked_up_in_the_version_that_it_holds() -> None:
    pins = {
        pin
        for image in ("train-gpu", "kfp")
        for pin in re.findall(
            r"^([\w.-]+)==([\w.]+)",
            (ROOT / "images" / image / "requirements.txt").read_text(),
            re.MULTILINE,
        )
    }
    asked: set[tuple[str, str]] = set()
    with osv(asked=asked) as url:
        assert audit(["train-gpu"], url) == set()
    assert asked == pins
    assert ("mxnet-cu112", "1.9.1") in asked


def test_what_the_server_knows_is_told_with_its_remedy() -> None:
    with osv(WEAK_NUMPY) as url:
        (finding,) = audit(["serve"], url)
    assert re.fullmatch(r"numpy [\d.]+: CVE-2, PYSEC-2, fixed in 9\.9\.9", str(finding))


def test_what_was_withdrawn_is_no_finding() -> None:
    with osv({**WEAK_NUMPY, "withdrawn": "2026-01-01T00:00:00Z"}) as url:
        assert audit(["serve"], url) == set()


def test_a_server_that_does_not_answer_is_told_in_one_line() -> None:
    with osv() as url:
        pass
    with pytest.raises(UserError, match=r"^the packages of serve could not .*--osv-url.*\Z"):
        audit(["serve"], url)


@pytest.mark.slow
def test_the_command_fails_at_a_finding_and_passes_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    none = Exceptions(findings=(), linked_into_mxnet=())
    monkeypatch.setattr("pipelines.command.images.read_exceptions", lambda: none)
    with osv(WEAK_NUMPY) as url:
        failed = CliRunner().invoke(app, ["audit", "--osv-url", url])
    assert failed.exit_code == 1
    assert re.fullmatch(r"numpy [\d.]+: CVE-2.*: update it, or write an .*\n", failed.stdout)
    with osv() as url:
        passed = CliRunner().invoke(app, ["audit", "--osv-url", url])
    assert (passed.exit_code, passed.stdout) == (0, "no finding without an exception\n")
