"""The exit handler: it logs, posts JSON to a webhook, and says so when that fails."""

import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from components.errors import UserError
from components.notify.notify import Outcome, known_state, notify

FAILED = Outcome("FAILED", "runs/7", "https://kubeflow.example.com/runs/7", "train: NaN loss")


class Webhook(HTTPServer):
    """Keeps what it is sent, and answers a status."""

    status = 200
    location = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[Any] = []


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers["Content-Type"], json.loads(body)))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def address(webhook: Webhook) -> str:
    return f"http://127.0.0.1:{webhook.server_port}/secret-path"


def test_the_outcome_is_posted_as_json_with_a_link(webhook: Webhook) -> None:
    notify(FAILED, address(webhook))
    [(content_type, body)] = webhook.received
    assert content_type == "application/json"
    assert body == {
        "text": "alsolike: runs/7 failed https://kubeflow.example.com/runs/7",
        "state": "FAILED",
        "run": "runs/7",
        "link": "https://kubeflow.example.com/runs/7",
        "error": "train: NaN loss",
    }


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ("SUCCEEDED", "SUCCEEDED"),
        ("FAILED", "FAILED"),
        ("COMPLETE", "ENDED"),
        ("RUNNING", "ENDED"),
        ("UNKNOWN", "ENDED"),
    ],
)
def test_a_state_that_may_mean_anything_is_not_passed_on(told: str, state: str) -> None:
    """Kubeflow's driver passes on the states of the metadata store."""
    assert known_state(told) == state


def test_without_a_webhook_the_outcome_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        notify(FAILED, "")
    assert "failed: https://kubeflow.example.com/runs/7" in caplog.text


def test_a_webhook_that_refuses_fails_without_its_secret(webhook: Webhook) -> None:
    webhook.status = 403
    with pytest.raises(UserError, match="answered 403: check its URL") as refused:
        notify(FAILED, address(webhook))
    assert "secret-path" not in str(refused.value)


@pytest.mark.parametrize(
    "location",
    ["/other-secret", "gopher://chat/other-secret", "file:///other-secret", "http://h:x"],
)
@pytest.mark.parametrize("status", [302, 307])
def test_a_webhook_that_leads_elsewhere_did_not_take_the_outcome(
    webhook: Webhook, status: int, location: str
) -> None:
    webhook.status, webhook.location = status, location
    with pytest.raises(UserError, match=f"answered {status}: check its URL") as led:
        notify(FAILED, address(webhook))
    assert "secret" not in str(led.value)
    assert len(webhook.received) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/secret",
        "secret at no address",
        "http://127.0.0.1/secret token",
        "http://127.0.0.1/secret\ntoken",
        "http://127.0.0.1/s\N{LATIN SMALL LETTER E WITH ACUTE}cret",
        "http://secret@127.0.0.1/",
        "http://127.0.0.1:secret/",
        "http://127.0.0.1:99999/secret",
        "http://[secret/",
        "http:///secret",
        "file:///secret",
        "data:,secret",
        "secret://127.0.0.1",
    ],
)
def test_a_webhook_that_is_not_there_is_one_line(url: str) -> None:
    with pytest.raises(UserError, match=r"check its (URL|secret)") as missing:
        notify(FAILED, url)
    assert "cret" not in str(missing.value).replace("check its secret", "")
    assert "\n" not in str(missing.value)


def test_a_webhook_that_speaks_something_else_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-secret\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UserError, match="does not speak HTTP") as strange:
            notify(FAILED, f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert "secret" not in str(strange.value)
