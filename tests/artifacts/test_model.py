"""A model comes back from its folder as it was written, and a damaged one is refused."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from components.artifacts.bundles import open_store
from components.artifacts.folder import write_artifact
from components.artifacts.model import (
    FACTORS,
    KIND,
    SCHEMA_VERSION,
    Catalogue,
    Model,
    RankingFactors,
    RatingFactors,
    Seen,
    blend,
    open_model,
    write_model,
)
from components.artifacts.strings import StringTable
from components.artifacts.tensors import map_tensors, write_tensors
from components.errors import UserError

RANDOM = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:  # type: ignore[type-arg]
    return RANDOM.normal(size=shape).astype(np.float32)


RATING = RatingFactors(
    users=floats(2, 3),
    items=floats(4, 3),
    user_biases=floats(2),
    item_biases=floats(4),
    offset=np.array([3], np.float32),
    bounds=np.array([1, 5], np.float32),
)
RANKING = RankingFactors(
    items=floats(4, 3),
    item_biases=floats(4),
    histories=floats(4, 3),
    recency=np.array([0.5], np.float32),
    window=np.array([2], np.int32),
    users=floats(0, 3),
)
MODEL = Model(
    Catalogue(
        customers=StringTable.of(["A", "B"]),
        products=StringTable.of(["P", "Q", "R", "S"]),
        titles=StringTable.of(["Pán", "", "Rad", "See"]),
        categories=StringTable.of(["", "Toys"]),
        category=np.array([0, 1, 1, 0], np.int32),
        popularity=floats(4),
        recent_popularity=floats(4),
    ),
    Seen(
        offsets=np.array([0, 2, 3]),
        items=np.array([3, 1, 0], np.int32),
        stars=floats(3),
        held_out=np.array([1], np.int32),
    ),
    RATING,
    RANKING,
)


def write(folder: Path, model: Model = MODEL) -> Path:
    with write_artifact(folder, KIND, SCHEMA_VERSION) as writer:
        write_model(writer, model, {"seed": 0}, {})
    return folder


def test_every_array_comes_back(tmp_path: Path) -> None:
    loaded, manifest = open_model(write(tmp_path / "model"))
    assert manifest.kind == KIND
    assert loaded.rating is not None
    assert loaded.ranking is not None
    for written, read in ((RATING, loaded.rating), (RANKING, loaded.ranking)):
        for attribute in fields(written):
            array = getattr(read, attribute.name)
            np.testing.assert_array_equal(array, getattr(written, attribute.name))
            assert not array.flags.writeable
    assert loaded.catalogue.titles.to_list() == ["Pán", "", "Rad", "See"]
    assert loaded.seen.of(0)[0].tolist() == [3, 1]
    assert loaded.seen.held_out.tolist() == [1]


def test_an_objective_that_was_switched_off_is_none(tmp_path: Path) -> None:
    loaded = Model.load(write(tmp_path / "model", replace(MODEL, rating=None)))
    assert loaded.rating is None
    assert loaded.ranking is not None


def test_a_deployed_model_of_the_format_before_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with write_artifact(folder, KIND, 1) as writer:
        write_model(writer, MODEL, {}, {})
        arrays = dict(map_tensors(writer.path / FACTORS))
        del arrays["ranking.stars_weight"]
        write_tensors(arrays, writer.path / FACTORS)
    loaded, _ = open_model(folder)
    assert loaded.ranking is not None
    assert loaded.ranking.stars_weight.tolist() == [0]
    store = open_store(str(tmp_path / "store"))
    assert store.fetch(store.add(folder), tmp_path).is_dir()


def test_a_file_that_lacks_an_array_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", replace(MODEL, seen=replace(MODEL.seen)))
    file = folder / FACTORS
    file.write_bytes(file.read_bytes().replace(b'"seen.stars"', b'"seen.gone_"'))
    with pytest.raises(UserError, match=r"has no array 'seen\.stars': train the model again"):
        Model.load(folder)


def test_stars_are_the_formula_clipped_to_the_scale() -> None:
    users, items = np.array([0, 1, 1]), np.array([3, 0, 2])
    expected = [
        RATING.users[u] @ RATING.items[i] + RATING.user_biases[u] + RATING.item_biases[i] + 3
        for u, i in zip(users, items, strict=True)
    ]
    given = RATING.predict(users.astype(np.int32), items.astype(np.int32))
    assert given == pytest.approx(np.clip(expected, 1, 5), abs=1e-6)
    high = replace(RATING, offset=np.array([99], np.float32))
    assert high.predict(users.astype(np.int32), items.astype(np.int32)).tolist() == [5, 5, 5]


def test_a_table_has_the_stars_of_every_pair() -> None:
    users = np.array([1, 0, 1], np.int32)
    pairs = np.repeat(users, 4), np.tile(np.arange(4, dtype=np.int32), 3)
    assert RATING.table(users).ravel() == pytest.approx(RATING.predict(*pairs), abs=1e-6)


def test_penalty_grows_with_the_cube_of_the_missing_stars() -> None:
    assert RATING.penalty(np.array([5, 3, 1])).tolist() == [0, 1 / 8, 1]
    constant = replace(RATING, bounds=np.array([4, 4], np.float32))
    assert constant.penalty(np.array([4])).tolist() == [0]
    items = np.array([2, 0], np.int32)
    assert RATING.penalties(RATING.rater(1), items) == pytest.approx(
        RATING.penalty(RATING.table(np.array([1]))[0, items]), abs=1e-6
    )


def test_expected_stars_count_in_lists_by_their_weight() -> None:
    users, scores = np.array([0, 1]), floats(2, 4)
    weighted = replace(RANKING, stars_weight=np.array([7], np.float32))
    expected = scores - 7 * RATING.penalty(RATING.table(users))
    assert blend(scores, users, weighted, RATING) == pytest.approx(expected, abs=1e-5)
    assert blend(scores, users, weighted, None) is scores
    assert blend(scores, users, RANKING, RATING) is scores
    assert replace(MODEL, ranking=weighted).rater(1) is not None
    assert MODEL.rater(1) is None


def test_a_history_counts_its_newest_items_and_the_newest_most() -> None:
    vector = RANKING.vector(np.array([2, 1, 0], np.int32))
    expected = RANKING.histories[0] + 0.5 * RANKING.histories[1]
    assert vector == pytest.approx(expected, abs=1e-6)
    assert RANKING.customer_vector(0, np.array([2, 1, 0], np.int32)) == pytest.approx(vector)
    learned = replace(RANKING, users=floats(2, 3))
    assert learned.customer_vector(1, np.zeros(0, np.int32)) == pytest.approx(learned.users[1])


def test_contributions_of_a_history_add_up_to_the_scores() -> None:
    factors = replace(RANKING, window=np.array([3], np.int32))
    history, items = np.array([3, 0, 2, 1], np.int32), np.array([2, 0], np.int32)
    added = factors.contributions(history, items)
    scores = factors.scores(factors.vector(history)[None])[0, items]
    np.testing.assert_allclose(added.sum(axis=1), scores - factors.item_biases[items], rtol=1e-4)
    assert (added[:, 0] == 0).all()
    newest = factors.items[2] @ factors.histories[1]
    assert added[0, 3] == pytest.approx(newest, rel=1e-4)


def test_scores_are_products_and_biases() -> None:
    vectors = floats(5, 3)
    assert RANKING.scores(vectors) == pytest.approx(
        vectors @ RANKING.items.T + RANKING.item_biases, abs=1e-6
    )
