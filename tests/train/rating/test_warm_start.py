"""A later model begins with what an earlier one knew, and with nothing of what it must not know."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.artifacts.bundles import open_store
from components.artifacts.model import DESCRIPTION, Model, open_model
from components.artifacts.splits import Splits
from components.train.rating.bayes import Bayes
from components.train.rating.sgd import SgdModel
from components.train.rating.trials import RatingModel, mean_squared_error
from components.train.rating.warm_start import carry_over, open_start
from components.train.settings import TrainSettings
from components.train.train import train
from tests.train.worlds import (
    CPU,
    EACH,
    ITEMS,
    SCALE,
    USERS,
    held_out,
    planted,
    problem,
    write_parts,
    write_splits,
)

MF = {"rating_model": "mf", "num_embeddings": 8, "objectives": "rating", "batch_size": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the ratings up to a day, their splits, and those of two more from everyone."""
    folder = tmp_path_factory.mktemp("warm")
    write_splits(folder / "splits", each=EACH - 2)
    write_splits(folder / "later", each=EACH)
    settings = TrainSettings(objectives="rating", rating_model="bayes", epochs=10)
    train(settings, folder / "splits", folder / "model")
    return folder


@pytest.fixture
def earlier(folder: Path) -> Model:
    return Model.load(folder / "model")


def changed(splits: Splits, **tables: object) -> Splits:
    """Splits of which some tables are others."""
    other = Splits(splits.path, splits.manifest)
    other.__dict__.update(tables)
    return other


def test_who_stayed_keeps_their_factors_and_who_came_has_none(folder: Path, earlier: Model) -> None:
    """The same customers but the first, and a new one."""
    splits = Splits.open(folder / "later")
    ids = [*splits.customers["customer_id"].to_pylist()[1:], "NEW"]
    customers = pa.table({"customer_id": ids})
    none = splits.test.where(splits.test.stars > SCALE[1])
    start = carry_over(
        earlier, changed(splits, customers=customers, validation=none, test=none)
    ).factors
    assert start is not None
    assert earlier.rating is not None
    np.testing.assert_array_equal(start.users[:-1], earlier.rating.users[1:])
    np.testing.assert_array_equal(start.items, earlier.rating.items)
    assert np.isnan(start.users[-1]).all()
    assert np.isnan(start.user_biases[-1])


def test_of_new_ratings_all_are_judged_by(folder: Path, earlier: Model) -> None:
    splits = Splits.open(folder / "later")
    assert len(carry_over(earlier, splits).judged) == len(splits.validation)


def test_validation_ratings_that_were_learned_are_not_judged_by(
    folder: Path, earlier: Model
) -> None:
    """Half of the customers rated nothing since: what was validation is so again, and is known."""
    before, after = (Splits.open(folder / name) for name in ("splits", "later"))
    idle = np.arange(USERS) < USERS // 2
    validation, test = (
        getattr(before, part).where(idle).merged_with(getattr(after, part).where(~idle))
        for part in ("validation", "test")
    )
    start = carry_over(earlier, changed(after, validation=validation, test=test))
    assert start.factors is not None
    assert start.judged.users.tolist() == np.flatnonzero(~idle).tolist()
    assert start.judged.items.tolist() == after.validation.items[~idle].tolist()


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_model_that_knows_what_it_would_be_judged_by_is_not_begun_with(
    part: str, folder: Path, earlier: Model, caplog: pytest.LogCaptureFixture
) -> None:
    later = Splits.open(folder / "later")
    learned = Splits.open(folder / "splits").train
    splits = changed(later, **{part: learned})
    start = carry_over(earlier, splits)
    assert start.factors is None
    assert len(start.judged) == len(splits.validation)
    assert f"has learned {len(learned)} of the {part} ratings" in caplog.text


def test_what_the_earlier_model_held_out_it_does_not_know(folder: Path, earlier: Model) -> None:
    splits = Splits.open(folder / "splits")
    start = carry_over(earlier, changed(splits, validation=splits.test))
    assert start.factors is not None
    assert len(start.judged) == USERS


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mf", "bayes"])
def test_no_figure_gains_by_a_model_that_knew_the_test(
    model: str, folder: Path, tmp_path: Path
) -> None:
    """Such a model learned the later test and validation ratings as ratings to train with."""
    everything = held_out(planted())
    known = everything[0].merged_with(everything[1]).merged_with(everything[2])
    settings = MF | {"rating_model": model, "epochs": 5}
    splits = Splits.open(folder / "later")
    omniscient = write_parts(tmp_path / "splits", (known, everything[1], everything[2]))
    train(TrainSettings.model_validate(settings), omniscient, tmp_path / "earlier")
    errors = []
    for name, more in (("cold", {}), ("warm", {"warm_start": str(tmp_path / "earlier")})):
        train(TrainSettings.model_validate(settings | more), folder / "later", tmp_path / name)
        rating = Model.load(tmp_path / name).rating
        assert rating is not None
        errors.append(mean_squared_error(rating.predict, splits.test))
    assert errors[1] == errors[0]


@pytest.mark.parametrize(
    "model",
    [
        SgdModel("mf", 8, 64, 0, 0.2, 0.02, 3, (CPU,)),
        SgdModel("mf", 12, 64, 0, 0.2, 0.02, 3, (CPU,)),
        Bayes(8, 4.0, True, 0, CPU),
    ],
)
def test_the_first_step_is_better_than_of_a_cold_start(
    folder: Path, earlier: Model, model: RatingModel
) -> None:
    known, validation, _ = held_out(planted())
    cold = problem(known)
    start = carry_over(earlier, Splits.open(folder / "later"))
    warm = replace(cold, start=start.factors)
    steps = (next(model.train(task)) for task in (warm, cold))
    first, second = (mean_squared_error(step.predict, validation) for step in steps)
    assert first < second


def test_a_model_is_found_by_its_folder_and_as_the_current_one_of_a_store(folder: Path) -> None:
    splits = Splits.open(folder / "later")
    store = open_store(str(folder / "store"))
    assert open_start(str(folder / "store"), splits).digest == ""
    store.make_current(store.add(folder / "model"))
    digest = open_model(folder / "model")[1].digest
    for location in ("model", "store"):
        start = open_start(str(folder / location), splits)
        assert start.digest == digest
        assert start.factors is not None
        assert start.factors.items.shape[0] == ITEMS
    assert open_start("", splits).factors is None


def test_a_warm_start_is_written_down(folder: Path, tmp_path: Path) -> None:
    settings = TrainSettings.model_validate(MF | {"epochs": 2, "warm_start": str(folder / "model")})
    for name, digest in (("later", open_model(folder / "model")[1].digest), ("splits", "")):
        train(settings, folder / name, tmp_path / name)
        assert json.loads((tmp_path / name / DESCRIPTION).read_text())["warm_start"] == digest
