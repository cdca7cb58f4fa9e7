"""A later model begins with what an earlier one knew, and with nothing of what it must not know."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.artifacts.bundles import open_store
from components.artifacts.model import Model, open_model
from components.artifacts.splits import Splits
from components.train.rating.bayes import Bayes
from components.train.rating.gradient import GradientModel
from components.train.rating.learning import RatingModel
from components.train.rating.warm_start import carry_over, open_start
from components.train.settings import TrainSettings
from components.train.train import train
from tests.train.worlds import CPU, ITEMS, held_out, planted, problem, write_splits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warm")
    write_splits(folder / "splits")
    settings = TrainSettings(
        rating_model="mf", num_embeddings=8, objectives="rating", batch_size=64, epochs=10
    )
    train(settings, folder / "splits", folder / "model")
    return folder


def later_splits(folder: Path) -> Splits:
    """The same customers but the first, and a new one; each has held-out ratings of their own."""
    splits = Splits.open(folder / "splits")
    nothing = splits.train.where(np.zeros(len(splits.train), np.bool_))
    changed = Splits(splits.path, splits.manifest)
    ids = [*splits.customers["customer_id"].to_pylist()[1:], "NEW"]
    changed.__dict__["customers"] = pa.table({"customer_id": ids})
    changed.__dict__["validation"] = nothing
    changed.__dict__["test"] = nothing
    return changed


def test_who_stayed_keeps_their_factors_and_who_came_has_none(folder: Path) -> None:
    model = Model.load(folder / "model")
    start = carry_over(model, later_splits(folder))
    assert start is not None
    assert model.rating is not None
    np.testing.assert_array_equal(start.users[:-1], model.rating.users[1:])
    np.testing.assert_array_equal(start.items, model.rating.items)
    assert np.isnan(start.users[-1]).all()
    assert np.isnan(start.user_biases[-1])


def test_customers_whose_held_out_ratings_were_learned_begin_afresh(folder: Path) -> None:
    """The model learned from train and validation: on the same splits it knows the latter."""
    start = carry_over(Model.load(folder / "model"), Splits.open(folder / "splits"))
    assert start is not None
    assert np.isnan(start.user_biases).all()
    assert not np.isnan(start.item_biases).any()


@pytest.mark.parametrize(
    "model",
    [
        GradientModel("mf", 8, 64, 0, 0.2, 0.02, 3, (CPU,)),
        GradientModel("mf", 12, 64, 0, 0.2, 0.02, 3, (CPU,)),
        Bayes(8, 4.0, True, 0, CPU),
    ],
)
def test_the_first_step_is_better_than_of_a_cold_start(folder: Path, model: RatingModel) -> None:
    cold = problem(held_out(planted())[0])
    start = carry_over(Model.load(folder / "model"), later_splits(folder))
    warm = replace(cold, start=start)
    first, second = (next(model.learn(task)).loss for task in (warm, cold))
    assert first < second


def test_a_model_is_found_by_its_folder_and_as_the_current_one_of_a_store(folder: Path) -> None:
    splits = Splits.open(folder / "splits")
    store = open_store(str(folder / "store"))
    assert open_start(str(folder / "store"), splits) == (None, "")
    store.make_current(store.add(folder / "model"))
    digest = open_model(folder / "model")[1].digest
    for location in ("model", "store"):
        start, found = open_start(str(folder / location), splits)
        assert found == digest
        assert start is not None
        assert start.items.shape[0] == ITEMS
    assert open_start("", splits) == (None, "")


def test_a_warm_start_is_written_down(folder: Path, tmp_path: Path) -> None:
    settings = TrainSettings(
        rating_model="mf", objectives="rating", epochs=2, warm_start=str(folder / "model")
    )
    train(settings, folder / "splits", tmp_path / "model")
    assert open_model(folder / "model")[1].digest in (tmp_path / "model/model.json").read_text()
