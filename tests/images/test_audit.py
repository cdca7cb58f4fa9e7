"""The audit: a finding is mended or has its reasons, and what was not looked up is not clean."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import UserError
from pipelines.audit import Finding, KnownFinding, judge, parse, read_exceptions

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
    (line,) = judge(findings(CLEAN, WEAK), [])
    assert line.startswith("mxnet 1.9.1: CVE-1, PYSEC-1, not fixed: update it, or write")


def test_a_finding_is_excepted_by_any_of_its_names() -> None:
    assert judge(findings(CLEAN, WEAK), [EXCEPTION]) == []


def test_an_exception_that_is_no_longer_needed_is_told() -> None:
    assert judge(findings(CLEAN), [EXCEPTION]) == [
        "mxnet: CVE-1 is no longer found: take its exception out"
    ]


def test_an_exception_is_of_one_package() -> None:
    elsewhere = EXCEPTION.model_copy(update={"package": "polars"})
    assert len(judge(findings(CLEAN, WEAK), [elsewhere])) == 2


def test_a_package_that_was_not_looked_up_is_not_clean() -> None:
    with pytest.raises(UserError, match="1 packages could not be looked up, numpy among them"):
        findings(CLEAN, {"name": "numpy", "skip_reason": "not found"})


def test_an_exception_without_reasons_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text("findings: [{id: CVE-1, package: mxnet, unreachable: no}]")
    with pytest.raises(UserError, match=r"unreachable.*isolation"):
        read_exceptions(file)


def test_the_exceptions_that_are_written_have_their_reasons() -> None:
    assert isinstance(read_exceptions(), list)


def used_of_mxnet(source: str) -> Iterator[str]:
    """The modules of MXNet that a source imports or asks for by `mx.`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mxnet"):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("mxnet."))
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "mx":
            yield f"mxnet.{node.attr}"


def test_training_decodes_no_images_with_mxnet() -> None:
    """What `images/exceptions.yaml` builds on."""
    sources = [file.read_text() for file in (ROOT / "components/train").rglob("*.py")]
    used = {name for source in sources for name in used_of_mxnet(source)}
    assert "mxnet.nd" in used or "mxnet.gluon" in used
    parts = {part for name in used for part in name.split(".")}
    assert not parts & {"image", "img", "io", "recordio", "contrib"}


def test_training_makes_no_store_of_several_processes() -> None:
    """What `images/exceptions.yaml` builds on."""
    for file in (ROOT / "components/train").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("kvstore.create"):
                assert [ast.unparse(argument) for argument in node.args] in (["'device'"], [])
