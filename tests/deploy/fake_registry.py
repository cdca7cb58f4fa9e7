"""A Kubeflow Model Registry as its server 0.3 behaves (API v1alpha3)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_API = "/api/model_registry/v1alpha3"
_VALUES = {
    "MetadataStringValue": ("string_value", str),
    "MetadataDoubleValue": ("double_value", float),
}


class FakeRegistry:
    """Entries by kind; `asked` has every request."""

    def __init__(self) -> None:
        self.entries: dict[str, list[dict[str, Any]]] = {
            kind: [] for kind in ("registered_model", "model_version", "model_artifact")
        }
        self.asked: list[str] = []
        self._ids = count(1)

    def find(self, kind: str, wanted: dict[str, str]) -> tuple[int, Any]:
        """The one entry with the wanted name, below the wanted parent."""
        # Names of models are unique by themselves, all others below their parent only.
        if kind != "registered_model" and "parentResourceId" not in wanted:
            return 400, {"code": "400", "message": "invalid parameters call"}
        parent = wanted.get("parentResourceId")
        for entry in self.entries[kind]:
            if entry["name"] == wanted["name"] and entry["parent"] == parent:
                return 200, _shown(entry)
        return 404, {"code": "404", "message": f"no {kind} found"}

    def create(self, kind: str, parent: str | None, body: dict[str, Any]) -> tuple[int, Any]:
        """A new entry; the server refuses a second one of the same name below a parent."""
        for value in body.get("customProperties", {}).values():
            field, expected = _VALUES[value["metadataType"]]
            if set(value) != {"metadataType", field} or not isinstance(value[field], expected):
                return 400, {"code": "400", "message": "no MetadataValue"}
        if self.find(kind, {"name": body["name"], "parentResourceId": parent or ""})[0] == 200:
            return 409, {"code": "409", "message": "duplicate key"}
        entry = {**body, "id": str(next(self._ids)), "parent": parent}
        self.entries[kind].append(entry)
        return 201, _shown(entry)


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "parent"}


@contextmanager
def serve_registry() -> Iterator[tuple[FakeRegistry, str]]:
    """Serve one.

    Yields:
        The registry, and its URL.
    """
    registry = FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            self._answer(registry.find(place.path.split("/")[-1], dict(parse_qsl(place.query))))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            match self.path.removeprefix(_API).strip("/").split("/"):
                case ["registered_models"]:
                    answer = registry.create("registered_model", None, body)
                case ["registered_models", parent, "versions"]:
                    answer = registry.create("model_version", parent, body)
                case ["model_versions", parent, "artifacts"]:
                    answer = registry.create("model_artifact", parent, body)
                case _:
                    answer = 404, {"code": "404", "message": self.path}
            self._answer(answer)

        def _answer(self, answer: tuple[int, Any]) -> None:
            registry.asked.append(f"{self.command} {self.path}")
            self.send_response(answer[0])
            self.end_headers()
            self.wfile.write(json.dumps(answer[1]).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield registry, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
