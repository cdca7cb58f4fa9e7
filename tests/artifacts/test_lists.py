"""Lists for everyone in a file are those that the server answers with."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.artifacts import lists
from components.artifacts.lists import SCHEMA, write_lists
from components.errors import UserError
from tests.serve.bundles import make_model, write_bundle
from tests.serve.server import serve

CUSTOMERS = 300


@pytest.mark.slow
def test_they_are_what_the_server_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_ROWS_A_GROUP", 640)
    model, file = make_model(CUSTOMERS), tmp_path / "lists.parquet"
    rows = write_lists(model, 5, file)
    found = pq.read_table(file)
    assert found.schema == SCHEMA
    assert pq.read_metadata(file).num_row_groups > 2
    written = found.to_pylist()
    assert len(written) == rows == CUSTOMERS * 5
    with serve(write_bundle(tmp_path / "bundle", model)) as server:
        for customer, start in zip(model.catalogue.customers, range(0, rows, 5), strict=True):
            ours = written[start : start + 5]
            answer = server.client.get(f"/recommend/{customer}?n=5").json()["recommendations"]
            assert [row["customer_id"] for row in ours] == [customer] * 5
            assert [row["rank"] for row in ours] == [1, 2, 3, 4, 5]
            assert [row["product_id"] for row in ours] == [one["product_id"] for one in answer]
            scores = [one["score"] for one in answer]
            assert [row["score"] for row in ours] == pytest.approx(scores, rel=1e-6)
        pairs = [{key: row[key] for key in ("customer_id", "product_id")} for row in written[:100]]
        answers = server.client.post(
            "/v1/models/recommender:predict", json={"instances": pairs}
        ).json()["predictions"]
    stars = [row["predicted_stars"] for row in written[:100]]
    assert stars == pytest.approx(answers, abs=1e-5)


def test_a_list_ends_where_no_product_is_left(tmp_path: Path) -> None:
    model = make_model(customers=20, products=8)
    file = tmp_path / "lists.parquet"
    write_lists(model, 5, file)
    counts = Counter(file_column(file, "customer_id"))
    left = [5, 5, 5, 4, 3, 2, 1]  # customer i has rated i + 1 of 8 products, and later ones all
    assert [*counts.values()] == left
    assert len(file_column(file, "rank")) == sum(left)


def file_column(file: Path, name: str) -> list[object]:
    values: list[object] = pq.read_table(file)[name].to_pylist()
    return values


def test_without_predicted_stars_they_are_null(tmp_path: Path) -> None:
    file = tmp_path / "lists.parquet"
    write_lists(replace(make_model(), rating=None), 3, file)
    assert set(file_column(file, "predicted_stars")) == {None}


def test_a_model_without_a_ranking_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train with ranking in objectives"):
        write_lists(replace(make_model(), ranking=None), 3, tmp_path / "lists.parquet")
    assert not [*tmp_path.iterdir()]


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    file = tmp_path / "lists.parquet"
    file.write_text("before")
    monkeypatch.setattr(lists, "_table", fail)
    with pytest.raises(OSError, match="no space"):
        write_lists(make_model(), 3, file)
    assert [path.name for path in tmp_path.iterdir()] == ["lists.parquet"]
    assert file.read_text() == "before"
