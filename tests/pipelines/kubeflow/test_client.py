"""Signing in to Kubeflow, and what is said when it does not work."""

import os
import stat
import sys
from pathlib import Path

import pytest

from components.errors import UserError
from pipelines.definition.environment import Access, Kubeflow
from pipelines.kubeflow.client import Session, connect
from tests.pipelines.fake_kubeflow import FakeKubeflow


def settings(fake: FakeKubeflow, access: Access, **changes: object) -> Kubeflow:
    values = {"endpoint": fake.endpoint, "experiment": "x", "access": access} | changes
    return Kubeflow.model_validate(values)


def list_pipelines(session: Session) -> object:
    return session.ask("list the pipelines", session.client.list_pipelines)


def test_a_bearer_token_signs_in(fake: FakeKubeflow, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.token = "secret"
    monkeypatch.setenv("ALSOLIKE_KFP_TOKEN", "secret")
    with connect(settings(fake, Access.TOKEN, profile="me")) as session:
        list_pipelines(session)


def test_a_cookie_signs_in(fake: FakeKubeflow, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.cookie = "authservice_session=1"
    monkeypatch.setenv("ALSOLIKE_KFP_COOKIE", "authservice_session=1")
    with connect(settings(fake, Access.COOKIE)) as session:
        list_pipelines(session)


def test_a_service_account_token_is_read_again_when_it_was_renewed(
    fake: FakeKubeflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(token))
    token.write_text("old")
    fake.token = "old"
    with connect(settings(fake, Access.SERVICE_ACCOUNT, profile="me")) as session:
        list_pipelines(session)
        token.write_text("new")
        fake.token = "new"
        list_pipelines(session)


def test_a_port_is_forwarded_by_kubectl_and_closed_again(
    fake: FakeKubeflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = fake.endpoint.rpartition(":")[2]
    pid = tmp_path / "pid"
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f"#!{sys.executable}\nimport os, sys, time\n"
        f"open({str(pid)!r}, 'w').write(str(os.getpid()) + ' ' + ' '.join(sys.argv[1:]))\n"
        f"print('Forwarding from 127.0.0.1:{port} -> 8888', flush=True)\ntime.sleep(60)\n"
    )
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with connect(settings(fake, Access.PORT_FORWARD, endpoint=None)) as session:
        list_pipelines(session)
    process, _, arguments = pid.read_text().partition(" ")
    assert "--namespace=kubeflow port-forward" in arguments
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


def test_kubectl_that_fails_is_quoted(
    fake: FakeKubeflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho 'error: services \"ml-pipeline\" not found' >&2\nexit 1\n")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    forward = settings(fake, Access.PORT_FORWARD, endpoint=None)
    with pytest.raises(UserError, match=r'services "ml-pipeline" not found'), connect(forward):
        pass


def test_a_missing_token_is_named(fake: FakeKubeflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALSOLIKE_KFP_TOKEN", raising=False)
    with (
        pytest.raises(UserError, match="ALSOLIKE_KFP_TOKEN"),
        connect(settings(fake, Access.TOKEN)),
    ):
        pass


@pytest.mark.parametrize(
    ("status", "tries", "words"),
    [
        (401, 1, "does not accept the credentials"),
        (403, 1, "bind the role alsolike-submit"),
        (400, 1, "answers 400 .it is not your day"),
        (503, 3, "answers 503 .it is not your day"),
    ],
)
def test_a_refusal_says_what_to_do(
    session: Session, fake: FakeKubeflow, status: int, tries: int, words: str
) -> None:
    fake.fail("GET", "/pipelines", status, times=tries)
    with pytest.raises(UserError, match=words):
        list_pipelines(session)


def test_a_login_page_is_no_answer(session: Session, fake: FakeKubeflow) -> None:
    fake.cookie = "other"
    with pytest.raises(UserError, match="does not accept the credentials"):
        list_pipelines(session)


def test_a_page_of_the_ui_is_no_answer(fake: FakeKubeflow) -> None:
    wrong = settings(fake, Access.ANONYMOUS, endpoint=f"{fake.endpoint}/hub")
    with connect(wrong) as session, pytest.raises(UserError, match="credentials"):
        list_pipelines(session)


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"dropped": "before"}])
def test_a_passing_fault_is_passed_over(
    session: Session, fake: FakeKubeflow, fault: dict[str, object]
) -> None:
    fake.fail("GET", "/pipelines", **fault)  # type: ignore[arg-type]
    list_pipelines(session)


def test_an_endpoint_where_nobody_answers_is_named() -> None:
    nobody = Kubeflow.model_validate(
        {"endpoint": "http://127.0.0.1:9", "experiment": "x", "profile": "me"}
    )
    with connect(nobody) as session, pytest.raises(UserError, match="does not answer"):
        list_pipelines(session)
