"""No array is larger than MXNet's, and a model that needs a larger one is left out or refused."""

import json
import logging
from pathlib import Path
from typing import Any

import mxnet as mx
import pytest
from mxnet import nd

from components.artifacts.model import DESCRIPTION, HISTORY
from components.errors import UserError
from components.train.ranking.als import ImplicitAls
from components.train.ranking.ridge import Ridge
from components.train.rating.bayes import Bayes
from components.train.rating.sgd import SgdModel
from components.train.settings import TrainSettings
from components.train.sizes import MOST_CELLS, Size
from components.train.train import train
from tests.train.arrays import lower_limit
from tests.train.worlds import CPU, write_splits

MF = SgdModel("mf", 64, 1024, 0, 0.5, 0.05, 0, (CPU,))
BAYES = Bayes(16, 1.0, True, 0, CPU, 16)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_splits(tmp_path_factory.mktemp("sizes") / "splits")


def read(model: Path, name: str) -> Any:
    return json.loads((model / name).read_text())


def test_mxnet_has_no_larger_array() -> None:
    assert nd.empty(MOST_CELLS, dtype="int8").shape == (MOST_CELLS,)
    with pytest.raises((ValueError, mx.MXNetError)):
        nd.empty(MOST_CELLS + 1, dtype="int8")


@pytest.mark.parametrize(
    ("what", "most"),
    [
        (lambda n: MF.sizes(n, 1)[0], 32_537_630),
        (lambda n: MF.sizes(1, n)[1], 32_537_630),
        (lambda n: BAYES.sizes(n, 1)[0], 113_025_455),
        (lambda n: BAYES.sizes(1, n)[1], 12_632_256),
        (lambda n: ImplicitAls.size(n, {"dimensions": 32}), 67_108_863),
        (lambda n: Ridge.size(n, {"dimensions": 256}), 7_895_160),
    ],
)
def test_so_many_rows_fit_and_not_one_more(what: Any, most: int) -> None:
    assert what(most).excess is None
    assert f"{what(most + 1).rows:,} " in what(most + 1).excess


def test_an_array_that_is_too_large_is_told_with_its_size() -> None:
    assert Size("customers", 8_000_000, 289).excess == (
        "8,000,000 customers with 289 numbers each are 2,312,000,000 numbers, and an array of "
        "MXNet holds at most 2,147,483,646"
    )


def test_auto_leaves_out_what_does_not_fit_and_says_so(
    splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lower_limit(monkeypatch, 4000)
    settings = TrainSettings(objectives="rating", epochs=2)
    with caplog.at_level(logging.WARNING):
        train(settings, splits, tmp_path / "model")
    assert "rank=16" in caplog.text
    assert "mf num_embeddings=64" in caplog.text
    assert "is left out: 121 customers with 66 numbers each are 7,986" in caplog.text
    trials = read(tmp_path / "model", HISTORY)["rating"]
    left_out = {
        (trial["model"], trial["hyperparameters"].get("rank"))
        for trial in trials
        if "left_out" in trial
    }
    assert left_out == {("bayes", 16), ("mf", None)}
    assert read(tmp_path / "model", DESCRIPTION)["rating"]["model"] == "bayes"


def test_a_model_of_the_stars_that_cannot_fit_is_refused(
    splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower_limit(monkeypatch, 4000)
    settings = TrainSettings(objectives="rating", rating_model="mf")
    with pytest.raises(
        UserError, match=r"rating_model=mf: 121 customers with 66 .* lower num_embeddings=64"
    ):
        train(settings, splits, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_widths_of_the_ranking_that_do_not_fit_are_left_out(
    splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lower_limit(monkeypatch, 60 * (16 + 4))
    settings = TrainSettings(
        objectives="ranking", ranking_model="ridge", ranking_dimensions=8, ranking_recency=0.8
    )
    with caplog.at_level(logging.WARNING):
        train(settings, splits, tmp_path / "model")
    assert caplog.text.count("ridge is left out: 60 products with 24 numbers each") == 1
    trials = read(tmp_path / "model", HISTORY)["ranking"]
    widths = {trial["parameters"]["dimensions"]: "left_out" in trial for trial in trials}
    assert widths == {8: True, 4: False, 2: False}


def test_a_ranking_that_cannot_fit_is_refused_before_the_stars_are_learned(
    splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lower_limit(monkeypatch, 1000)
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(UserError, match=r"ranking_model=als: .* lower ranking_dimensions=256"),
    ):
        train(TrainSettings(ranking_model="als"), splits, tmp_path / "model")
    assert "rating:" not in caplog.text
