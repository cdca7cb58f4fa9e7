"""What a bundle reads of one customer is what the model holds."""

from pathlib import Path

import numpy as np
import pytest

from components.artifacts.model import RankingFactors
from components.serve.inference.bundle import Bundle
from tests.serve.bundles import make_model, write_bundle


def ranking_of(bundle: Bundle) -> RankingFactors:
    assert bundle.model.ranking is not None
    return bundle.model.ranking


@pytest.mark.parametrize("learned", [False, True])
def test_histories_and_vectors_are_those_of_the_model(tmp_path: Path, learned: bool) -> None:
    bundle = Bundle.open(write_bundle(tmp_path / "bundle", make_model(learned=learned)))
    for user in range(30):
        history = bundle.model.seen.of(user)[0]
        assert bundle.history(user).tolist() == history.tolist()
        expected = ranking_of(bundle).customer_vector(user, history)
        np.testing.assert_array_equal(bundle.vector(user, history), expected)
