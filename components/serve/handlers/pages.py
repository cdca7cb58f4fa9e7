"""The pages for people: each is a single file, which loads nothing from other hosts."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from components.serve.handlers.state import State
from components.serve.protocol.http import Request, Response


def home(_state: State, _request: Request) -> Response:
    """A page to try the server by hand."""
    return _page("home")


def docs(_state: State, _request: Request) -> Response:
    """The OpenAPI document for people."""
    return _page("docs")


@cache
def _page(name: str) -> Response:
    """A page with its style and script inside; its policy forbids all others."""
    folder = files(__package__) / "static"
    markup, style, script = (
        (folder / file).read_text() for file in (f"{name}.html", "style.css", f"{name}.js")
    )
    body = markup.replace("{style}", style).replace("{script}", script).encode()
    policy = (
        "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors 'none'; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'"
    )
    headers = (
        f"content-security-policy: {policy}\r\n"
        "x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
    )
    return Response(body, content_type=b"text/html; charset=utf-8", headers=headers.encode())


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
