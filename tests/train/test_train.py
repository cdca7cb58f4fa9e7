"""The whole training step, from a splits folder to a model folder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest

from components.artifacts.folder import read_measurements, sha256
from components.artifacts.model import DESCRIPTION, FACTORS, HISTORY, Model, open_model
from components.artifacts.splits import Splits
from components.errors import UserError
from components.train import train as step
from components.train.settings import TrainSettings
from components.train.train import train
from tests.train.worlds import ITEMS, USERS, held_out, planted, write_parts, write_splits

QUICK: dict[str, Any] = {"ranking_model": "ridge", "ranking_dimensions": 8, "epochs": 4}


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_splits(tmp_path_factory.mktemp("train") / "splits")


@pytest.fixture(scope="module")
def model(splits: Path) -> Path:
    output = splits.with_name("model")
    train(TrainSettings(**QUICK), splits, output)
    return output


def test_the_model_is_whole_and_knows_what_it_was_made_from(splits: Path, model: Path) -> None:
    loaded, manifest = open_model(model)
    assert manifest.made_from == {"splits": Splits.open(splits).manifest.digest}
    assert loaded.rating is not None
    assert loaded.ranking is not None
    assert len(loaded.rating.users) == USERS
    assert len(loaded.ranking.items) == ITEMS


def test_the_probes_agree_with_the_export(model: Path) -> None:
    probes = json.loads((model / DESCRIPTION).read_text())["probes"]
    rating = Model.load(model).rating
    assert rating is not None
    pairs = (np.array(probes[side], np.int32) for side in ("users", "items"))
    assert rating.predict(*pairs) == pytest.approx(probes["stars"], abs=1e-5)
    assert len(probes["stars"]) == 20


def test_seen_covers_every_split_and_says_what_was_held_out(splits: Path, model: Path) -> None:
    seen, opened = Model.load(model).seen, Splits.open(splits)
    assert len(seen.items) == len(opened.train) + len(opened.validation) + len(opened.test)
    owners = np.repeat(np.arange(USERS), np.diff(seen.offsets))
    held_out = set(zip(owners[seen.held_out], seen.items[seen.held_out], strict=True))
    assert held_out == set(zip(opened.test.users, opened.test.items, strict=True))
    # Oldest first, and the test rating is the latest.
    assert [seen.of(user)[0][-1] for user in range(USERS)] == opened.test.items.tolist()


def test_settings_seed_and_versions_are_written_down(model: Path) -> None:
    description = json.loads((model / DESCRIPTION).read_text())
    assert description["settings"]["ranking_model"] == "ridge"
    assert description["seed"] == 0
    assert description["versions"]["mxnet"] == "1.9.1"
    tried = json.loads((model / HISTORY).read_text())["rating"]
    assert {trial["model"] for trial in tried} == {"bayes", "mf"}
    assert all(trial["history"] for trial in tried)


def test_what_the_run_took_is_kept_beside_what_was_expected(model: Path) -> None:
    measurements = read_measurements(model)
    assert measurements["peak_memory_mib"] > 0
    assert measurements["expected_memory_mib"] > 0
    assert {"seconds", "cpu_percent", "memory_mib"} == set(measurements["samples"][0])


def test_the_same_seed_writes_the_same_bytes(splits: Path, model: Path, tmp_path: Path) -> None:
    train(TrainSettings(**QUICK), splits, tmp_path / "again")
    train(TrainSettings(**QUICK, seed=1), splits, tmp_path / "other")
    assert sha256(tmp_path / "again" / FACTORS) == sha256(model / FACTORS)
    assert sha256(tmp_path / "other" / FACTORS) != sha256(model / FACTORS)
    # So the bundle of either has the same version, whatever the runs took.
    assert open_model(tmp_path / "again")[1].digest == open_model(model)[1].digest


@pytest.mark.parametrize("name", ["rating", "ranking"])
def test_an_objective_can_be_left_out(splits: Path, tmp_path: Path, name: str) -> None:
    settings = TrainSettings(**QUICK, objectives=name, rating_model="mf")
    figures = train(settings, splits, tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert (loaded.rating is None) == (name != "rating")
    assert (loaded.ranking is None) == (name != "ranking")
    measure = {"rating": "mse", "ranking": "ndcg"}[name]
    assert figures
    assert all(measure in figure for figure in figures)


def test_ratings_that_are_all_equal_are_predicted_and_ranked(tmp_path: Path) -> None:
    liked = planted()
    liked = replace(liked, stars=np.ones_like(liked.stars))
    splits = write_parts(tmp_path / "splits", held_out(liked))
    train(TrainSettings(**QUICK), splits, tmp_path / "model")
    model = Model.load(tmp_path / "model")
    assert model.ranking is not None
    assert model.rating is not None
    predicted = model.rating.predict(liked.users, liked.items)
    assert predicted == pytest.approx(np.ones(len(liked)), abs=0.05)


def test_a_loss_that_is_no_number_leaves_no_model_behind(splits: Path, tmp_path: Path) -> None:
    settings = TrainSettings(rating_model="mlp", learning_rate=1e6, objectives="rating", epochs=20)
    with pytest.raises(UserError, match="lower learning_rate"):
        train(settings, splits, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_too_small_is_told_with_the_sizes(
    splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhaust(*_: object) -> None:
        raise mx.MXNetError("cudaMalloc retry failed: out of memory")

    monkeypatch.setattr(step, "fit_rating", exhaust)
    with pytest.raises(
        UserError, match=r"120 customers and 60 products .* lower num_embeddings=64"
    ):
        train(TrainSettings(), splits, tmp_path / "model")


def test_unknown_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="choose from rating, ranking"):
        TrainSettings(objectives="stars")
