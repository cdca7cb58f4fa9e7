"""The OpenAPI document lists every route, is sound, and the running server keeps to it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from openapi_spec_validator import validate
from schemathesis import checks

from components.artifacts.model import Model
from components.artifacts.strings import StringTable
from components.serve.app import handlers
from components.serve.openapi import OPERATIONS, document
from components.serve.settings import ServeSettings
from tests.serve.bundles import make_model, write_bundle
from tests.serve.server import Server, serve

SETTINGS = ServeSettings.model_validate(
    {
        "health_route": "/v1/endpoints/7/deployedModels/8",
        "predict_route": "/v1/endpoints/7:predict",
    }
)
DOCUMENT = document(handlers(SETTINGS))


def known_model() -> Model:
    """A model that knows the ids of the examples, and the one that is generated most."""
    model = make_model()
    customers = ["0", "10000010", *model.catalogue.customers.to_list()[2:]]
    products = ["0", "B007831891", *model.catalogue.products.to_list()[2:]]
    catalogue = dataclasses.replace(
        model.catalogue, customers=StringTable.of(customers), products=StringTable.of(products)
    )
    return dataclasses.replace(model, catalogue=catalogue)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = write_bundle(tmp_path_factory.mktemp("openapi") / "bundle", known_model())
    with serve(
        folder,
        "--no-access-log",
        f"--health-route={SETTINGS.health_route}",
        f"--predict-route={SETTINGS.predict_route}",
    ) as running:
        yield running


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


def test_the_document_lists_the_routes_and_no_others(server: Server) -> None:
    served = server.client.get("/openapi.json").json()
    assert served == DOCUMENT
    listed = {
        (method.upper(), path) for path, methods in served["paths"].items() for method in methods
    }
    assert listed == set(handlers(SETTINGS))
    assert set(OPERATIONS) == set(handlers(SETTINGS).values())


def test_every_example_is_accepted(server: Server) -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {"content": {"application/json": {}}})
            examples: dict[str, Any] = body["content"]["application/json"].get("examples", {})
            for example in examples.values():
                answer = server.client.request(method, path, json=example["value"])
                assert answer.status_code == 200, (path, answer.text)
                assert "unknown" not in answer.text


REFUSALS = {"negative_data_rejection": {"expected-statuses": [400, 404, 405, 422, 431]}}
config = schemathesis.Config.from_dict({"checks": REFUSALS})
schema = schemathesis.openapi.from_dict(DOCUMENT, config=config)
CHECKS = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
)


@schema.parametrize()
@settings(
    max_examples=20,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described(case: schemathesis.Case[Any], server: Server) -> None:
    case.call_and_validate(base_url=str(server.client.base_url), checks=list(CHECKS))
