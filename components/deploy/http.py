"""Ask a server in JSON."""

import json
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

_REQUEST_SECONDS = 10

Ask = Callable[[str, Any], Any]
"""Sends a body, or None for a GET, to a path of a server and returns what it answers.

Raises `OSError` if it gives no answer, or answers with an error's status.
"""


def client(address: str) -> Ask:
    """Ask the server at an address."""
    return partial(_ask, _opener(address), address.rstrip("/"))


def is_ready(address: str) -> bool:
    """Whether a server answers at the address and takes requests."""
    try:
        client(address)("/v2/health/ready", None)
    except OSError:
        return False
    return True


def _opener(address: str) -> OpenerDirector:
    """What opens an address, without a proxy where that could not reach it."""
    host = urlsplit(address).hostname or ""
    near = host in ("127.0.0.1", "localhost") or host.endswith((".svc", ".svc.cluster.local"))
    return build_opener(*([ProxyHandler({})] if near else []))


def _ask(opener: OpenerDirector, address: str, path: str, body: Any) -> Any:
    request = Request(
        f"{address}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with opener.open(request, timeout=_REQUEST_SECONDS) as answer:
            return json.loads(answer.read())
    except (HTTPException, ValueError) as error:
        raise OSError(f"{path} is not answered in JSON over HTTP: {error!r}") from None
