"""The splits that Spark makes are those of one machine."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.artifacts.splits import STATISTICS, Splits
from components.errors import UserError
from components.prepare.prepare import prepare
from components.prepare.settings import PrepareSettings
from tests.prepare.test_prepare import Row, make_rows, write_ratings

pytestmark = pytest.mark.slow


def make_repeated(customers: int, products: int) -> list[Row]:
    """Ratings of which some pairs have several, at one instant or at others."""
    rows = make_rows(customers, products)
    again = [(*row[:2], float(number % 9 + 1) / 2, row[3]) for number, row in enumerate(rows[::3])]
    later = [(*row[:3], rows[0][3]) for row in rows[::7]]
    return rows + again + later


def made(engine: str, ratings: Path, **changes: Any) -> Splits:
    output = ratings.with_name(engine)
    settings = PrepareSettings.model_validate(
        {"engine": engine, "min_product_ratings": 30} | changes
    )
    prepare(settings, ratings, output)
    return Splits.open(output)


def contents(splits: Splits) -> dict[str, Any]:
    """All that an artifact says, but for how its tables are cut and which engine made it."""
    parts = {
        name: [column.tolist() for column in vars(getattr(splits, name)).values()]
        for name in ("train", "validation", "test")
    }
    details = splits.manifest.details | {"settings": {}}
    statistics = json.loads((splits.path / STATISTICS).read_text())
    tables = {"customers": splits.customers.to_pydict(), "products": splits.products.to_pydict()}
    return {**parts, **tables, "details": details, "statistics": statistics}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "changes",
    [
        {"split": "last", "deduplicate": "latest"},
        {"split": "random", "deduplicate": "mean", "seed": 7},
        {"split": "temporal", "deduplicate": "first", "fixpoint": False},
    ],
    ids=lambda changes: changes["split"],
)
@pytest.mark.usefixtures("spark")
def test_spark_makes_the_same_splits(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "run [1] of *"
    folder.mkdir()
    ratings = write_ratings(folder / "ratings", make_repeated(120, 40))
    here, there = made("local", ratings, **changes), made("spark", ratings, **changes)
    assert contents(here) == contents(there)
    assert len({path.parent for path in there.path.rglob("*.parquet")}) == 5
    assert there.manifest.made_from == here.manifest.made_from


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("spark")
def test_spark_tells_that_too_few_ratings_are_left(tmp_path: Path) -> None:
    ratings = write_ratings(tmp_path / "ratings", make_rows())
    with pytest.raises(UserError, match="lower min_customer_ratings=99 or") as raised:
        made("spark", ratings, min_customer_ratings=99)
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["ratings"]


def test_no_address_of_spark_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    ratings = write_ratings(tmp_path / "ratings", make_rows())
    with pytest.raises(UserError, match="nothing says where Spark is"):
        made("spark", ratings)


def test_a_spark_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_REMOTE", "sc://127.0.0.1:9")
    ratings = write_ratings(tmp_path / "ratings", make_rows())
    with pytest.raises(UserError, match=r"Spark does not answer at SPARK_REMOTE=sc://127.0.0.1:9"):
        made("spark", ratings)
