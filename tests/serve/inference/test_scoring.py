"""Stars of one pair are those of many, within rounding and within the scale."""

from pathlib import Path

import numpy as np
import pytest

from components.artifacts.model import FACTORS
from components.artifacts.tensors import Rows
from components.serve.inference.scoring import Scorer
from tests.serve.bundles import make_model, write_bundle


def test_a_pair_gets_the_stars_that_the_model_gives_it_among_all(tmp_path: Path) -> None:
    model = make_model()
    factors = model.rating
    assert factors is not None
    users, items = np.divmod(np.arange(30 * 50, dtype=np.int32), 50)
    expected = factors.predict(users, items)
    assert (expected == 5).any()  # clipping is part of it
    folder = write_bundle(tmp_path / "bundle", model)
    scorer = Scorer(factors, Rows(folder / FACTORS, "rating.users"))
    found = [scorer.stars(user, item) for user, item in zip(users, items, strict=True)]
    assert found == pytest.approx(expected.tolist(), abs=1e-5)
    assert 1 <= min(found) <= max(found) == 5
