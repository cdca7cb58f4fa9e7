"""The outcome of a run reaches the log, and a webhook where there is one."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from components.errors import UserError
from components.notify.notify import Outcome, notify

OUTCOME = Outcome(state="FAILED", run="training-1", link="https://kubeflow/run/1", error="no GPU")


class Webhook(HTTPServer):
    """Takes JSON, or refuses it."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/s3cret"


class Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    server = Webhook()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_webhook_gets_a_text_and_the_facts(webhook: Webhook) -> None:
    notify(OUTCOME, webhook.url)
    [posted] = webhook.taken
    assert posted["text"] == "alsolike: training-1 failed https://kubeflow/run/1"
    assert posted["state"] == "FAILED"
    assert posted["error"] == "no GPU"


def test_without_a_webhook_the_log_says_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        notify(OUTCOME, "")
    assert "the run failed: https://kubeflow/run/1" in caplog.text


def test_a_refusal_is_told_without_the_secret_in_the_url(webhook: Webhook) -> None:
    webhook.status = 403
    with pytest.raises(UserError, match="403") as failure:
        notify(OUTCOME, webhook.url)
    assert "s3cret" not in str(failure.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/hook", "no url"])
def test_a_webhook_out_of_reach_is_told(url: str) -> None:
    with pytest.raises(UserError, match="the webhook did not take the outcome"):
        notify(OUTCOME, url)
