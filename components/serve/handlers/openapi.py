"""The OpenAPI document, made from the table of routes and the types that they read and write."""

import re
from http import HTTPStatus
from typing import Any

import msgspec

from components.images import VERSION
from components.serve.handlers import recommendations
from components.serve.handlers.routes import OPERATIONS, Operation, operations_by_route
from components.serve.handlers.turns import MAX_REQUESTS
from components.serve.protocol.http import Problem
from components.serve.protocol.request_parser import MAX_HEAD_BYTES
from components.serve.settings import ServeSettings

_COMPONENTS = "#/components"


def _errors(settings: ServeSettings) -> dict[int, str]:
    return {
        400: "the body is not JSON",
        404: "there is no customer, product or path of this name",
        413: f"the body is longer than {settings.max_body_bytes} bytes",
        422: "a parameter or the body does not have the type described here",
        429: f"{MAX_REQUESTS} large requests wait already: ask for less, or try again later",
        431: f"path, query and headers are longer than {MAX_HEAD_BYTES} bytes",
        503: "not ready: the server is shutting down",
    }


def document(settings: ServeSettings) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the server's routes."""
    components: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in operations_by_route(settings).items():
        paths.setdefault(path, {})[method.lower()] = _operation(path, operation, components)
    _schema(Problem, components)
    _schema(recommendations.Recommendation, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "alsolike",
            "version": VERSION,
            "description": "Recommendations and star predictions. Send an id as a string or an "
            "integer. Every answer carries the version of the model that gave it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in OPERATIONS)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": {
                str(status): _error(reason) for status, reason in _errors(settings).items()
            },
            "parameters": {"RequestId": _REQUEST_ID},
            "headers": _HEADERS,
        },
    }


def _operation(path: str, operation: Operation, components: dict[str, Any]) -> dict[str, Any]:
    """The description of an operation at a path; its schemas are added to the components."""
    success = {
        "description": HTTPStatus.OK.phrase,
        "headers": _HEADER_REFERENCES,
        "content": _content(operation.answer, components),
    }
    errors = {
        str(status): {"$ref": f"{_COMPONENTS}/responses/{status}"} for status in operation.errors
    }
    described: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": re.sub(r"\W+", "_", f"{operation.method.lower()}{path}").strip("_"),
        "parameters": [*_path_parameters(path, operation), *_query_parameters(operation)],
        "responses": {"200": success, **errors},
    }
    described["parameters"].append({"$ref": f"{_COMPONENTS}/parameters/RequestId"})
    if operation.body is not None:
        content = _content(operation.body, components)
        content["application/json"]["examples"] = {
            f"example {number}": {"value": value}
            for number, value in enumerate(operation.examples, start=1)
        }
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameters(path: str, operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            "example": operation.examples[0],
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    [schema] = msgspec.json.schema(operation.query)["$defs"].values()
    return [
        {"name": name, "in": "query", "description": shape.pop("description"), "schema": shape}
        for name, shape in schema["properties"].items()
    ]


def _content(kind: Any, components: dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind, str):
        return {kind: {"schema": {"type": "string"}}}
    if isinstance(kind, tuple):
        schema = {"oneOf": [_schema(each, components) for each in kind]}
    else:
        schema = _schema(kind, components)
    return {"application/json": {"schema": schema}}


def _schema(kind: Any, components: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; the schemas that it refers to are added to the components."""
    (schema,), found = msgspec.json.schema_components(
        [kind], ref_template=f"{_COMPONENTS}/schemas/{{name}}"
    )
    components.update(found)
    return schema


def _error(reason: str) -> dict[str, Any]:
    return {
        "description": reason,
        "headers": _HEADER_REFERENCES,
        "content": {
            "application/json": {
                "schema": {"$ref": f"{_COMPONENTS}/schemas/{Problem.__name__}"},
                "example": {"error": reason},
            }
        },
    }


_REQUEST_ID = {
    "name": "x-request-id",
    "in": "header",
    "description": "its first 128 characters are in the answer and in the log; "
    "the server makes one if none is sent",
    "schema": {"type": "string"},
}
_HEADERS = {
    "x-request-id": {"description": "the request's id", "schema": {"type": "string"}},
    "model-version": {"description": "the model that answered", "schema": {"type": "string"}},
}
_HEADER_REFERENCES = {name: {"$ref": f"{_COMPONENTS}/headers/{name}"} for name in _HEADERS}
