"""A bundle reads what the model holds of a customer, and refuses what was damaged."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts.folder import MANIFEST, write_artifact
from components.artifacts.model import FACTORS, KIND, SCHEMA_VERSION, RankingFactors
from components.artifacts.precomputed import PRECOMPUTED
from components.errors import UserError
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


FILES = {FACTORS, MANIFEST, PRECOMPUTED}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flips") / "bundle"
    return write_bundle(folder, make_model(), lists_of=5)


@given(st.data())
def test_a_flipped_bit_is_refused_in_words(whole: Path, data: st.DataObject) -> None:
    """Except in the manifest's own facts, which make it another version."""
    assert {file.name for file in whole.iterdir()} >= FILES
    file = whole / data.draw(st.sampled_from(sorted(each.name for each in whole.iterdir())))
    content = file.read_bytes()
    version = Bundle.open(whole).version
    try:
        file.write_bytes(flipped(content, data.draw(st.integers(0, 8 * len(content) - 1))))
        opened = Bundle.open(whole).version
        assert file.name == MANIFEST
        assert opened != version
    except UserError:
        pass
    finally:
        file.write_bytes(content)


@given(st.data())
def test_a_flipped_bit_that_the_manifest_vouches_for_is_accepted_or_refused_in_words(
    whole: Path, data: st.DataObject
) -> None:
    """In the header of the arrays, where it changes names, types, shapes and places."""
    content = (whole / FACTORS).read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    bit = data.draw(st.integers(0, 8 * header - 1))
    with TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        with write_artifact(bundle, KIND, SCHEMA_VERSION) as writer:
            (writer.path / FACTORS).write_bytes(flipped(content, bit))
        with suppress(UserError):
            Bundle.open(bundle)


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
