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
from components.serve.handlers.openapi import document
from components.serve.handlers.routes import operations_by_route
from components.serve.settings import ServeSettings
from tests.serve.bundles import make_model, write_bundle
from tests.serve.server import Server, serve

SETTINGS = ServeSettings.model_validate(
    {
        "health_route": "/v1/endpoints/7/deployedModels/8",
        "predict_route": "/v1/endpoints/7:predict",
    }
)
DOCUMENT = document(SETTINGS)


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
    assert listed == set(operations_by_route(SETTINGS))


def test_every_example_is_accepted(server: Server) -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {"content": {"application/json": {}}})
            examples: dict[str, Any] = body["content"]["application/json"].get("examples", {})
            for example in examples.values():
                answer = server.client.request(method, path, json=example["value"])
                assert answer.status_code == 200, (path, answer.text)
                assert "unknown" not in answer.text


def test_the_document_says_what_is_an_option_of_the_server_and_not_of_a_request() -> None:
    for operation in (
        DOCUMENT["paths"]["/recommend/{customer_id}"]["get"],
        DOCUMENT["paths"]["/recommend"]["post"],
    ):
        assert "--strict" in operation["summary"]
        assert "strict" not in [each.get("name") for each in operation["parameters"]]


def test_several_products_are_left_out_as_the_document_says(server: Server) -> None:
    parameters = DOCUMENT["paths"]["/popular"]["get"]["parameters"]
    [described] = [each["description"] for each in parameters if each.get("name") == "exclude"]
    assert "exclude=A&exclude=B" in described
    best = products(server, "/popular?n=4")
    query = f"exclude={best[0]}&exclude={best[2]}"
    assert products(server, f"/popular?n=2&{query}") == [best[1], best[3]]
    assert products(server, f"/popular?n=2&exclude={best[0]},{best[2]}") == best[:2]


def test_an_unknown_category_has_no_products_as_the_document_says(server: Server) -> None:
    parameters = DOCUMENT["paths"]["/popular"]["get"]["parameters"]
    [described] = [each["description"] for each in parameters if each.get("name") == "categories"]
    assert "an unknown category has no products" in described
    assert products(server, "/popular?categories=drums") == []
    assert products(server, "/popular?categories=Drums&categories=drums") == products(
        server, "/popular?categories=Drums"
    )


def test_scores_are_what_the_document_says(server: Server) -> None:
    described = DOCUMENT["components"]["schemas"]["Recommendation"]["properties"]["score"]
    assert "a cold start gets, the number of ratings" in described["description"]
    popularity = known_model().catalogue.popularity
    answer = server.client.get("/recommend/nobody?n=1").json()
    assert answer["recommendations"][0]["score"] == popularity.max()


def products(server: Server, path: str) -> list[str]:
    return [product["product_id"] for product in server.client.get(path).json()["products"]]


REFUSALS = {"negative_data_rejection": {"expected-statuses": [400, 404, 405, 413, 422, 431]}}
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
