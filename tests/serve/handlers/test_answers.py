"""The running server answers in every protocol, says why it cannot, and logs every request."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from components.artifacts.model import Model, blend
from components.artifacts.strings import StringTable
from tests.serve.bundles import make_model, write_bundle
from tests.serve.server import serve

PREDICT = "/v1/models/recommender:predict"
MODEL = make_model()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = write_bundle(tmp_path_factory.mktemp("serve") / "bundle", MODEL)
    with serve(folder, "--no-access-log") as server:
        yield server.client


def stars(model: Model, user: int, item: int) -> float:
    assert model.rating is not None
    return float(model.rating.predict(np.array([user], np.int32), np.array([item], np.int32))[0])


def ranked(model: Model, user: int, count: int) -> list[str]:
    """The best products by a plain sort."""
    assert model.ranking is not None
    history, _ = model.seen.of(user)
    scores = model.ranking.scores(model.ranking.vector(history)[None])
    [scores] = blend(scores, np.array([user]), model.ranking, model.rating)
    scores[history] = -np.inf
    return [model.catalogue.products[item] for item in np.argsort(-scores)[:count]]


def ids(products: list[dict[str, Any]]) -> list[str]:
    return [product["product_id"] for product in products]


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"customer_id": "C000003", "product_id": "P000007"}]},
        {"customer_id": ["C000003"], "product_id": ["P000007"]},
    ],
)
def test_stars_are_predicted_for_instances_and_for_columns(
    client: httpx.Client, body: dict[str, Any]
) -> None:
    answer = client.post(PREDICT, json=body).json()
    assert answer["predictions"] == [pytest.approx(stars(MODEL, 3, 7), abs=1e-5)]


def mean_stars(users: list[int], items: list[int]) -> float:
    """The mean of all pairs of these, before the bounds of the scale."""
    assert MODEL.rating is not None
    unbounded = dataclasses.replace(MODEL.rating, bounds=np.array([-99, 99], np.float32))
    pairs = np.array([(user, item) for user in users for item in items], np.int32)
    mean = float(unbounded.predict(pairs[:, 0], pairs[:, 1]).mean(dtype=np.float64))
    return min(max(mean, 1.0), 5.0)


def test_an_unknown_id_gets_the_mean_of_all_and_is_marked(client: httpx.Client) -> None:
    pairs = [("C000003", "P000007"), ("C000003", "gone"), ("nobody", "P000007"), ("a", "b")]
    instances = [{"customer_id": customer, "product_id": product} for customer, product in pairs]
    answer = client.post(PREDICT, json={"instances": instances}).json()
    users, items = list(range(30)), list(range(50))
    means = [mean_stars([3], items), mean_stars(users, [7]), mean_stars(users, items)]
    assert answer["predictions"][1:] == pytest.approx(means, abs=1e-4)
    both = "unknown customer and product"
    assert answer["cold_starts"] == [None, "unknown product", "unknown customer", both]


def test_a_cold_start_is_marked_in_sagemakers_header(client: httpx.Client) -> None:
    body = {"customer_id": ["C000003", "nobody"], "product_id": ["P000007", "P000007"]}
    answer = client.post("/invocations", json=body)
    assert answer.json()[1] == pytest.approx(mean_stars(list(range(30)), [7]), abs=1e-4)
    marks = answer.headers["x-amzn-sagemaker-custom-attributes"]
    assert marks == "cold starts: 1: unknown customer"


def test_sagemaker_gets_the_notebooks_list(client: httpx.Client) -> None:
    body = {"customer_id": ["C000003"], "product_id": ["P000007"]}
    answer = client.post("/invocations", json=body)
    assert answer.json() == [pytest.approx(stars(MODEL, 3, 7), abs=1e-5)]
    assert client.get("/ping").status_code == 200


def test_the_open_inference_protocol_describes_and_infers(client: httpx.Client) -> None:
    described = client.get("/v2/models/recommender").json()
    assert [tensor["name"] for tensor in described["inputs"]] == ["customer_id", "product_id"]
    inputs = [
        {"name": "customer_id", "shape": [1], "datatype": "BYTES", "data": ["C000003"]},
        {"name": "product_id", "shape": [1], "datatype": "BYTES", "data": ["P000007"]},
    ]
    answer = client.post("/v2/models/recommender/infer", json={"id": "7", "inputs": inputs}).json()
    assert answer["id"] == "7"
    rating = next(output for output in answer["outputs"] if output["name"] == "rating")
    assert rating["data"] == [pytest.approx(stars(MODEL, 3, 7), abs=1e-5)]


@pytest.mark.parametrize("datatype", ["INT32", "INT64", "UINT32", "UINT64"])
def test_the_open_inference_protocol_takes_ids_as_integers(
    numbered: httpx.Client, datatype: str
) -> None:
    customers = tensor("customer_id", [[3], [2**31 - 1]], datatype)
    asked = [
        infer(numbered, {**customers, "shape": [2, 1]}, {**products, "shape": [2, 1]}).json()
        for products in (
            tensor("product_id", [[7], [7]], datatype),
            tensor("product_id", ["7", "7"], "BYTES"),
        )
    ]
    assert asked[0] == asked[1]
    rating, cold_start = asked[0]["outputs"]
    expected = [stars(MODEL, 3, 7), mean_stars(list(range(30)), [7])]
    assert rating["data"] == pytest.approx(expected, abs=1e-4)
    assert cold_start["data"] == ["", "unknown customer"]


@pytest.mark.parametrize(
    ("datatype", "value", "error"),
    [
        ("FP32", 3.0, "must be of datatype BYTES or INT32 or INT64 or UINT32 or UINT64"),
        ("INT64", "3", "must hold integers, as its datatype INT64 says"),
        ("INT64", 3.0, "must hold integers"),
        ("INT64", True, "must hold integers"),
        ("INT64", None, "must hold integers"),
        ("BYTES", 3, "must hold strings, as its datatype BYTES says"),
    ],
)
def test_a_tensor_that_is_not_of_its_datatype_is_told(
    numbered: httpx.Client, datatype: str, value: object, error: str
) -> None:
    tensors = tensor("customer_id", [value], datatype), tensor("product_id", ["7"], "BYTES")
    answer = infer(numbered, *tensors)
    assert answer.status_code == 422
    assert f"input customer_id {error}" in answer.json()["error"]


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a model whose ids are numbers."""
    catalogue = dataclasses.replace(
        MODEL.catalogue,
        customers=StringTable.of(map(str, range(len(MODEL.catalogue.customers)))),
        products=StringTable.of(map(str, range(len(MODEL.catalogue.products)))),
    )
    model = dataclasses.replace(MODEL, catalogue=catalogue)
    folder = write_bundle(tmp_path_factory.mktemp("numbered") / "bundle", model)
    with serve(folder, "--no-access-log") as server:
        yield server.client


def tensor(name: str, data: list[Any], datatype: str) -> dict[str, Any]:
    return {"name": name, "shape": [len(data)], "datatype": datatype, "data": data}


def infer(client: httpx.Client, *tensors: dict[str, Any]) -> httpx.Response:
    return client.post("/v2/models/recommender/infer", json={"inputs": tensors})


@pytest.mark.parametrize("user", [0, 3, 19])
def test_recommendations_are_the_best_products_not_yet_rated(
    client: httpx.Client, user: int
) -> None:
    answer = client.get(f"/recommend/C{user:06d}?n=7").json()
    assert not answer["cold_start"]
    assert ids(answer["recommendations"]) == ranked(MODEL, user, 7)
    assert all(product["title"].startswith("Café") for product in answer["recommendations"])


def test_options_leave_products_out_and_turn_pages(client: httpx.Client) -> None:
    best = ranked(MODEL, 3, 20)
    page = client.get("/recommend/C000003?n=5&offset=5").json()
    assert ids(page["recommendations"]) == best[5:10]
    without = client.get(f"/recommend/C000003?n=4&exclude={best[0]}&exclude={best[2]}").json()
    assert ids(without["recommendations"]) == [best[1], *best[3:6]]
    drums = client.get("/recommend/C000003?n=3&categories=Drums").json()
    assert {product["category"] for product in drums["recommendations"]} == {"Drums"}


def test_as_many_products_may_be_left_out_as_the_document_says(client: httpx.Client) -> None:
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    answer = client.get("/recommend/C000003?n=3&categories=Drums" + f"&exclude={uuid}" * 1000)
    assert len(answer.json()["recommendations"]) == 3


def test_an_unknown_customer_gets_popular_products(client: httpx.Client) -> None:
    answer = client.get("/recommend/nobody?n=3").json()
    assert answer["cold_start"]
    popular = np.argsort(-MODEL.catalogue.popularity, kind="stable")[:3]
    assert ids(answer["recommendations"]) == [MODEL.catalogue.products[item] for item in popular]


def test_a_list_of_liked_products_is_enough(client: httpx.Client) -> None:
    liked = ["P000001", "P000002", "gone"]
    answer = client.post("/recommend", json={"liked": liked, "n": 5}).json()
    assert answer["unknown_products"] == ["gone"]
    assert not {"P000001", "P000002"} & set(ids(answer["recommendations"]))


def reasons(product: dict[str, Any]) -> list[str]:
    return ids(product["because"])


def unexplained(products: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: each[key] for key in each if key != "because"} for each in products]


@pytest.mark.parametrize("user", [0, 7, 19])
def test_a_list_names_the_liked_products_that_add_most(client: httpx.Client, user: int) -> None:
    plain = client.get(f"/recommend/C{user:06d}?n=4&offset=1").json()["recommendations"]
    answer = client.get(f"/recommend/C{user:06d}?n=4&offset=1&explain=true").json()
    products = answer["recommendations"]
    assert unexplained(products) == plain
    assert MODEL.ranking is not None
    history, stars = MODEL.seen.of(user)
    liked = stars >= stars.mean(dtype=float) - 1e-9
    for product in products:
        item = MODEL.catalogue.products.to_list().index(product["product_id"])
        added = MODEL.ranking.contributions(history, np.array([item], np.int32))[0]
        order = [place for place in np.argsort(-added) if liked[place] and added[place] > 0][:3]
        assert reasons(product) == [MODEL.catalogue.products[history[place]] for place in order]
        scores = [reason["score"] for reason in product["because"]]
        assert scores == pytest.approx(added[order].tolist(), rel=1e-4)


def test_liked_products_are_reasons_and_a_cold_start_has_none(client: httpx.Client) -> None:
    liked = ["P000001", "P000002"]
    answer = client.post("/recommend", json={"liked": liked, "n": 9, "explain": True}).json()
    named = {name for product in answer["recommendations"] for name in reasons(product)}
    assert named == set(liked)
    stranger = client.get("/recommend/nobody?explain=true").json()
    assert "because" not in stranger["recommendations"][0]


def test_lists_for_many_customers_have_the_reasons_of_single_ones(client: httpx.Client) -> None:
    names = ["C000003", "nobody", "C000019"]
    body = {"customers": names, "n": 5, "explain": True}
    assert client.post("/recommend", json=body).json()["results"] == [
        client.get(f"/recommend/{name}?n=5&explain=true").json() for name in names
    ]


def test_a_request_explains_at_most_a_hundred_products(client: httpx.Client) -> None:
    assert client.get("/recommend/C000001?n=100&explain=true").status_code == 200
    refused = [
        client.get("/recommend/C000001?n=101&explain=true"),
        client.post("/recommend", json={"liked": ["P000001"], "n": 101, "explain": True}),
        client.post(
            "/recommend", json={"customers": ["C000001", "C000002"], "n": 51, "explain": True}
        ),
    ]
    for answer in refused:
        assert answer.status_code == 422
        assert "at most 100 products" in answer.json()["error"]


def test_many_customers_are_answered_in_one_product(client: httpx.Client) -> None:
    names = [f"C{user:06d}" for user in range(15)]
    before = counters(client)
    answer = client.post("/recommend", json={"customers": [*names, "nobody"], "n": 5}).json()
    after = counters(client)
    *known, unknown = answer["results"]
    assert known == [client.get(f"/recommend/{name}?n=5").json() for name in names]
    assert unknown["cold_start"]
    assert after["computed_lists"] - before["computed_lists"] == 15
    assert after["matrix_products"] - before["matrix_products"] == 1


def counters(client: httpx.Client) -> dict[str, float]:
    found = re.findall(r"^alsolike_(\w+)_total (\S+)$", client.get("/metrics").text, re.M)
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize(
    ("ask", "seen"),
    [
        ({"customers": ["C000019"]}, MODEL.seen.of(19)[0]),
        ({"liked": ["P000001", "P000002", 3]}, np.array([1, 2])),
    ],
)
def test_what_was_seen_is_recommended_only_on_request(
    client: httpx.Client, ask: dict[str, Any], seen: np.ndarray[Any, Any]
) -> None:
    names = {MODEL.catalogue.products[item] for item in seen}
    for include_seen in (False, True):
        options = {"n": 50, "include_seen": include_seen}
        answer = client.post("/recommend", json={**ask, **options}).json()
        answer = answer.get("results", [answer])[0]
        found = set(ids(answer["recommendations"]))
        assert len(found) == (50 if include_seen else 50 - len(names))
        assert (names <= found) == include_seen


def test_similar_products_have_the_largest_cosine(client: httpx.Client) -> None:
    assert MODEL.ranking is not None
    vectors = MODEL.ranking.items / np.linalg.norm(MODEL.ranking.items, axis=1, keepdims=True)
    cosines = vectors @ vectors[4]
    cosines[4] = -np.inf
    expected = [MODEL.catalogue.products[item] for item in np.argsort(-cosines)[:3]]
    assert ids(client.get("/similar/P000004?n=3").json()["products"]) == expected


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", PREDICT, b"{", 400),
        ("POST", PREDICT, b'{"instances": 3}', 422),
        ("POST", PREDICT, b'{"customer_id": ["a"], "product_id": []}', 422),
        ("POST", PREDICT, b"[" + b"1," * 2_000_000 + b"1]", 413),
        ("POST", PREDICT, b'{"instances": null, "customer_id": [], "product_id": []}', 422),
        ("POST", "/recommend", b"{}", 422),
        ("POST", "/recommend", b'{"customers": null, "liked": ["P000001"]}', 422),
        ("GET", "/recommend/C000003?n=many", b"", 422),
        ("GET", "/recommend/C000003?m=3", b"", 422),
        ("GET", "/recommend/C000003?" + "exclude=1&" * 1001, b"", 422),
        ("GET", "/recommend/C000003?" + "exclude=1&" * 2200, b"", 422),
        ("GET", "/similar/gone", b"", 404),
        ("GET", "/nowhere", b"", 404),
        ("DELETE", "/popular", b"", 405),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    client: httpx.Client, method: str, path: str, body: bytes, status: int
) -> None:
    answer = client.request(method, path, content=body)
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert answer.json()["error"]


def test_a_body_in_csv_is_told_the_type_that_is_taken(client: httpx.Client) -> None:
    csv = {"content-type": "text/csv"}
    answer = client.post("/invocations", content=b"C000003,P000007\n", headers=csv)
    assert answer.status_code == 400
    assert "application/json is the only type taken" in answer.json()["error"]


def test_a_strict_server_knows_no_strangers(tmp_path: Path) -> None:
    with serve(write_bundle(tmp_path / "bundle", MODEL), "--strict") as server:
        assert server.client.get("/recommend/nobody").status_code == 404
        answer = server.client.post("/recommend", json={"customers": ["C000003", "nobody"]})
        assert answer.status_code == 404
        assert answer.json() == {"error": "unknown customer 'nobody'"}
        server.process.terminate()
        log, _ = server.process.communicate(timeout=60)
        assert "Warning" not in log


@pytest.mark.parametrize("missing", ["rating", "ranking"])
def test_a_model_of_one_objective_says_what_it_cannot(tmp_path: Path, missing: str) -> None:
    changes: dict[str, Any] = {missing: None}
    half = dataclasses.replace(MODEL, **changes)
    pair = {"customer_id": ["C000003"], "product_id": ["P000007"]}
    with serve(write_bundle(tmp_path / "bundle", half)) as server:
        predicted = server.client.post(PREDICT, json=pair)
        similar = server.client.get("/similar/P000004")
        assert predicted.status_code == (404 if missing == "rating" else 200)
        assert similar.status_code == (404 if missing == "ranking" else 200)
        refused = predicted if missing == "rating" else similar
        assert "was trained to" in refused.json()["error"]
        for answer in (
            server.client.get("/recommend/C000003?n=3&offset=1"),
            server.client.get("/recommend/nobody?n=3"),
            server.client.post("/recommend", json={"liked": ["P000001"], "n": 3}),
            server.client.get("/popular?n=3"),
        ):
            [products] = [value for value in answer.json().values() if isinstance(value, list)]
            assert len(products) == 3


def test_lists_computed_ahead_give_the_same_answers(tmp_path: Path, client: httpx.Client) -> None:
    with serve(write_bundle(tmp_path / "bundle", MODEL, lists_of=10)) as server:
        for user in range(30):
            for query in ("n=10", "n=3", "n=4&offset=5", "n=20", "n=5&offset=8", "explain=true"):
                path = f"/recommend/C{user:06d}?{query}"
                assert server.client.get(path).content == client.get(path).content
        assert "precomputed_lists" in server.client.get("/metrics").text


def test_requests_are_counted_by_route_and_status(client: httpx.Client) -> None:
    client.get("/similar/gone")
    client.get("/recommend/nobody")
    text = client.get("/metrics").text
    assert 'alsolike_requests_total{route="/similar/{product_id}",status="404"}' in text
    assert "cold_starts" in text


def test_every_request_is_logged_as_json(tmp_path: Path) -> None:
    with serve(write_bundle(tmp_path / "bundle", MODEL)) as server:
        server.client.get("/popular?n=1", headers={"x-request-id": "abc-1"})
        server.process.terminate()
        output, _ = server.process.communicate(timeout=60)
    logged = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    [entry] = [line for line in logged if line["route"] == "/popular"]
    assert entry["status"] == 200
    assert entry["id"] == "abc-1"
