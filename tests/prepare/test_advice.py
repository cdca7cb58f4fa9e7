"""The settings that are advised work on these very ratings, and no higher ones do."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.prepare.advice import advise
from components.prepare.filtering import deduplicate, keep_active
from components.prepare.settings import PrepareSettings
from components.prepare.splitting import ORDER, count_parts, split
from tests.prepare.tables import Row, frame, rows

settings = st.builds(
    PrepareSettings,
    min_customer_ratings=st.integers(1, 9),
    min_product_ratings=st.integers(1, 12),
    fixpoint=st.booleans(),
    deduplicate=st.sampled_from(["latest", "mean", "first"]),
    split=st.sampled_from(["last", "temporal", "random"]),
)


def kept_by(table: list[Row], given: PrepareSettings) -> int:
    """How many ratings the settings keep, 0 where some part has none."""
    kept, _ = keep_active(
        deduplicate(frame(table), given.deduplicate),
        given.min_customer_ratings,
        given.min_product_ratings,
        fixpoint=given.fixpoint,
    )
    if kept.is_empty() or not all(count_parts(split(kept.sort(ORDER), given)).values()):
        return 0
    return len(kept)


@given(rows, settings)
def test_advice_works_and_is_the_nearest_that_does(
    table: list[Row], refused: PrepareSettings
) -> None:
    assume(not kept_by(table, refused))
    words = advise(frame(table), refused)
    changes = dict(re.findall(r"(\w+)=(\w+)", words))
    advised = PrepareSettings.model_validate(refused.model_dump() | changes)
    if not changes:
        assert "whatever the settings: ingest more ratings" in words
    else:
        assert f"which keeps {kept_by(table, advised)}," in words
    assert bool(kept_by(table, advised)) is bool(changes)
    lowest = {"min_customer_ratings": 1, "min_product_ratings": 1}
    others = [refused.model_copy(update={**lowest, "split": way}) for way in ("last", "temporal")]
    assert any(kept_by(table, other) for other in others) is bool(changes)
    for name in changes.keys() - {"split"}:
        higher = advised.model_copy(update={name: getattr(advised, name) + 1})
        assert not kept_by(table, higher)


@pytest.mark.parametrize(
    ("customer", "product", "advice"),
    [
        (5, 10, "set min_customer_ratings=4 and min_product_ratings=6, which keeps 24"),
        (1, 10, "set min_product_ratings=6, which keeps 25"),
        (5, 1, "set min_customer_ratings=4, which keeps 24"),
    ],
)
def test_advice_leads_nowhere_in_a_circle(customer: int, product: int, advice: str) -> None:
    """Six customers rated the same four products, a seventh one of them."""
    table = [(user, item, 5.0, user) for user in range(6) for item in range(4)] + [(6, 0, 5.0, 0)]
    refused = PrepareSettings(min_customer_ratings=customer, min_product_ratings=product)
    assert advise(frame(table), refused) == (
        "too few of the 25 ratings are left to train, validate and test with (a customer has at "
        f"most 4, a product at most 7): {advice}, or ingest more ratings"
    )
