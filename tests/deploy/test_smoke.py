"""The smoke test's bounds, against a server that behaves badly on request."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.deploy.golden import Golden, check_golden
from components.deploy.settings import DeploySettings
from components.deploy.smoke import smoke_test
from components.errors import UserError

GOLDEN: list[Golden] = [{"path": "/answer", "body": {"n": 1}, "answer": {"stars": [4.25, 1]}}]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "golden.json").write_text(json.dumps(GOLDEN))
    return tmp_path


@contextmanager
def server(failing: range) -> Iterator[str]:
    """Serve version v1; the requests with these numbers, from 0, are answered 500."""
    numbers = iter(range(10**6))

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._answer({"versions": ["v1"]})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(GOLDEN[0]["answer"])

        def _answer(self, body: Any) -> None:
            self.send_response(500 if next(numbers) in failing else 200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_errors_within_the_bound_pass_and_one_more_does_not(bundle: Path) -> None:
    settings = DeploySettings(smoke_requests=20, max_error_rate=0.1)
    with server(failing=range(2, 4)) as address:
        smoke_test(settings, address, "v1", bundle)
    with (
        server(failing=range(2, 5)) as address,
        pytest.raises(
            UserError, match=r"failed 15\.0% of its requests, more than max_error_rate=0\.1"
        ),
    ):
        smoke_test(settings, address, "v1", bundle)


def test_a_golden_request_without_an_answer_fails(bundle: Path) -> None:
    with (
        server(failing=range(1, 2)) as address,
        pytest.raises(UserError, match=r"version v1 does not answer at .*500"),
    ):
        smoke_test(DeploySettings(), address, "v1", bundle)


def test_an_address_where_nothing_answers_fails(bundle: Path) -> None:
    with pytest.raises(UserError, match="does not answer at http://127"):
        smoke_test(DeploySettings(), "http://127.0.0.1:9", "v1", bundle)


@pytest.mark.parametrize(
    "answer",
    [
        {"stars": [4.2501, 1]},
        {"stars": [4.25]},
        {"stars": [4.25, 1, 1]},
        {"stars": [None, 1]},
        {"stars": ["4.25", 1]},
        {},
        [],
        None,
    ],
)
def test_an_answer_that_differs_is_told(answer: Any) -> None:
    with pytest.raises(UserError, match="/answer: the server answers"):
        check_golden(GOLDEN, lambda path, body: answer)  # noqa: ARG005


def test_rounding_and_more_than_was_asked_are_no_difference() -> None:
    check_golden(GOLDEN, lambda path, body: {"stars": [4.250009, 1], "more": 1})  # noqa: ARG005
