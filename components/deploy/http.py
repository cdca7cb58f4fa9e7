"""A client of the server, in JSON."""

import json
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

_REQUEST_SECONDS = 10

Ask = Callable[[str, Any], Any]
"""Sends a body to a path of a server, or None for a GET, and returns the answer.

Raises `OSError` if there is no answer, or it has the status of an error.
"""


def client(address: str) -> Ask:
    """A client of the server at an address."""
    return partial(_ask, _opener(address), address.rstrip("/"))


def is_ready(address: str) -> bool:
    """Whether a server at the address is ready for requests."""
    try:
        client(address)("/v2/health/ready", None)
    except OSError:
        return False
    return True


def _opener(address: str) -> OpenerDirector:
    """An opener for an address; without a proxy if the address is local or within the cluster."""
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
