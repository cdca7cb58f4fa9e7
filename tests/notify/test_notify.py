"""The exit handler: it logs, posts JSON to a webhook, and says so when that fails."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from components.errors import UserError
from components.notify.notify import Outcome, notify

FAILED = Outcome("FAILED", "runs/7", "https://kubeflow.example.com/runs/7", "train: NaN loss")


class Webhook(HTTPServer):
    """Keeps what it is sent, and answers a status."""

    status = 200

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


def test_without_a_webhook_the_outcome_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        notify(FAILED, "")
    assert "failed: https://kubeflow.example.com/runs/7" in caplog.text


def test_a_webhook_that_refuses_fails_without_its_secret(webhook: Webhook) -> None:
    webhook.status = 403
    with pytest.raises(UserError, match=r"did not take the outcome: .*403") as refused:
        notify(FAILED, address(webhook))
    assert "secret-path" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/secret", "no address at all"])
def test_a_webhook_that_is_not_there_is_one_line(url: str) -> None:
    with pytest.raises(UserError, match=r"check its (URL|secret)") as missing:
        notify(FAILED, url)
    assert url not in str(missing.value)
