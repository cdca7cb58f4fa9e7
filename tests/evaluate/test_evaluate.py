"""The whole step, from artifacts to a verdict."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.artifacts.bundles import open_store
from components.artifacts.evaluation import (
    BASELINES,
    EVALUATION,
    METRICS,
    Verdict,
    read_verdict,
)
from components.artifacts.model import Model
from components.artifacts.splits import Ratings
from components.artifacts.strings import StringTable
from components.errors import UserError
from components.evaluate.evaluate import evaluate
from components.evaluate.settings import CheckSettings, EvaluateSettings
from tests.evaluate.worlds import (
    World,
    make_model,
    make_sets,
    make_world,
    write_ratings,
    write_splits,
    write_trained,
)


@pytest.fixture(autouse=True)
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take nearly all of the time of an evaluation; test_report.py looks at them."""
    monkeypatch.setattr("components.evaluate.report.plots.to_svg", lambda _: "<svg></svg>")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


def evaluate_world(world: World, folder: Path, **settings: Any) -> tuple[Verdict, dict[str, Any]]:
    """Run the step; the verdict as it was written, and what was measured."""
    evaluate(
        EvaluateSettings(**settings),
        ratings=world.ratings,
        splits=world.splits,
        model=world.model,
        report=folder / "report.html",
        verdict=folder / "verdict",
    )
    measured: dict[str, Any] = json.loads((folder / "verdict" / EVALUATION).read_text())
    return read_verdict(folder / "verdict"), measured


def names_of_failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if not check.passed]


def test_of_many_test_customers_some_are_drawn_and_it_is_said(world: World, tmp_path: Path) -> None:
    everyone = evaluate_world(world, tmp_path / "everyone")[1]["test_customers"]
    assert everyone["judged"] == everyone["all"] > 40
    _, sampled = evaluate_world(world, tmp_path / "drawn", max_test_customers=40)
    assert sampled["test_customers"] == {"judged": 40, "all": everyone["all"]}
    assert (
        f"of 40 customers, drawn from {everyone['all']}"
        in (tmp_path / "drawn" / "report.html").read_text()
    )
    _, again = evaluate_world(world, tmp_path / "again", max_test_customers=40)
    assert again["metrics"] == sampled["metrics"]
    _, other = evaluate_world(world, tmp_path / "other", max_test_customers=40, seed=1)
    assert other["metrics"]["mse"] != sampled["metrics"]["mse"]


def test_splits_of_other_ratings_are_refused(world: World, tmp_path: Path) -> None:
    other = write_ratings(tmp_path / "other", rows=1)
    with pytest.raises(UserError, match="was not made from"):
        evaluate_world(replace(world, ratings=other), tmp_path)


def test_a_model_that_knows_the_tastes_passes(world: World, tmp_path: Path) -> None:
    verdict, measured = evaluate_world(world, tmp_path)
    assert verdict.passed
    assert verdict.summary == f"The model passed all {len(verdict.checks)} checks."
    assert set(measured["metrics"]) == set(METRICS)
    assert set(measured["baselines"]) == set(BASELINES)
    assert measured["champion"] is None
    for metric, (low, high) in measured["intervals"].items():
        assert low <= measured["metrics"][metric] <= high
    by_star = [slice_["rows"] for name, slice_ in measured["slices"].items() if "stars" in name]
    assert sum(by_star) == 240


def test_what_counts_as_liked_can_be_set(world: World, tmp_path: Path) -> None:
    _, everything = evaluate_world(world, tmp_path / "all", liked_stars=1)
    figures, liked = everything["metrics"], evaluate_world(world, tmp_path / "own")[1]["metrics"]
    for name in ("ndcg_at_10", "recall_at_10", "hit_rate_at_10"):
        assert figures[f"liked_{name}"] == figures[name] != liked[f"liked_{name}"]


def test_a_model_that_knows_nothing_fails_with_its_reasons(tmp_path: Path) -> None:
    ranking, rating = parts()
    unknowing = make_world(
        tmp_path / "blind",
        ranking=replace(ranking, items=np.roll(ranking.items, 1, axis=0)),
        rating=replace(rating, items=np.roll(rating.items, 1, axis=0)),
    )
    verdict, _ = evaluate_world(unknowing, tmp_path)
    assert names_of_failed(verdict) == [
        "mse no worse than bias",
        "liked_ndcg_at_10 better than popularity",
    ]
    assert "is worse by" in verdict.summary


def test_products_that_a_customer_is_expected_to_dislike_leave_the_lists(tmp_path: Path) -> None:
    """The ranking likes the wrong tastes; the rating knows the right ones."""
    ranking, _ = parts()
    wrong = replace(ranking, items=np.roll(ranking.items, 1, axis=0))
    weighted = replace(wrong, stars_weight=np.array([99], np.float32))
    before, after = (
        evaluate_world(make_world(tmp_path / name, ranking=factors), tmp_path / name)[1]["metrics"]
        for name, factors in (("wrong", wrong), ("weighted", weighted))
    )
    assert before["disliked_at_10"] > 0.9
    assert after["disliked_at_10"] < 0.05  # some have fewer than ten left that they would like
    assert after["liked_ndcg_at_10"] > before["liked_ndcg_at_10"]


def parts() -> tuple[Any, Any]:
    model = make_model(make_sets(240, 60, 0), 240, 60)
    return model.ranking, model.rating


@pytest.mark.parametrize("missing", ["rating", "ranking"])
def test_an_objective_that_is_switched_off_is_not_judged(tmp_path: Path, missing: str) -> None:
    off: dict[str, Any] = {missing: None}
    half = make_world(tmp_path / "world", **off)
    verdict, measured = evaluate_world(half, tmp_path)
    assert verdict.passed
    assert ("mse" in measured["metrics"]) is (missing == "ranking")
    assert ("ndcg_at_10" in measured["metrics"]) is (missing == "rating")
    assert "disliked_at_10" not in measured["metrics"]


def test_no_test_row_is_used_to_rank_it(tmp_path: Path) -> None:
    """A model that lists what is newest in `Seen`, where the test ratings are, gains nothing."""
    world = make_world(tmp_path / "world")
    _, honest = evaluate_world(world, tmp_path)
    seen = replace(world.trained.seen, items=world.trained.seen.items[::-1].copy())
    cheat = make_world(tmp_path / "cheat", seen=seen)
    _, cheated = evaluate_world(cheat, tmp_path)
    assert cheated["metrics"] == honest["metrics"]


def test_a_model_of_factors_that_are_no_numbers_is_refused_and_still_reported(
    tmp_path: Path,
) -> None:
    ranking, rating = parts()
    nan = make_world(
        tmp_path / "world",
        ranking=replace(ranking, items=ranking.items * np.float32("nan")),
        rating=replace(rating, offset=rating.offset * np.float32("nan")),
    )
    verdict, measured = evaluate_world(nan, tmp_path)
    assert measured["metrics"]["mse"] is None
    assert measured["metrics"]["hit_rate_at_20"] == 0
    assert "finite factors" in names_of_failed(verdict)
    assert "mse no worse than bias" in names_of_failed(verdict)


def test_ids_out_of_range_raise_the_alarm_and_not_an_error(tmp_path: Path) -> None:
    train, validation, test = make_sets(240, 60, 0)
    strange = replace(test, items=np.where(test.users < 5, 60, test.items).astype(np.int32))
    world = custom_world(tmp_path / "world", (train, validation, strange))
    verdict, _ = evaluate_world(world, tmp_path)
    assert names_of_failed(verdict) == ["ids in range"]


def test_a_tiny_test_set_is_not_enough_evidence(tmp_path: Path) -> None:
    tiny = make_world(tmp_path / "world", customers=30)
    verdict, _ = evaluate_world(tiny, tmp_path)
    assert not verdict.passed
    assert "Not enough evidence: 30 test ratings, 100 are needed." in verdict.summary


def custom_world(folder: Path, sets: tuple[Ratings, Ratings, Ratings], **changes: Any) -> World:
    model: Model = replace(make_model(make_sets(240, 60, 0), 240, 60), **changes)
    ratings = write_ratings(folder / "ratings")
    splits = write_splits(folder / "splits", ratings, sets, 240, 60)
    trained = write_trained(folder / "model", model, splits)
    return World(ratings, splits, trained, model)


def deploy(model: Path, store: Path) -> str:
    """Make a model the current one of a store."""
    opened = open_store(str(store))
    opened.make_current(opened.add(model))
    return str(store)


def test_a_champion_that_is_better_keeps_its_place(tmp_path: Path) -> None:
    ranking, rating = parts()
    store = deploy(make_world(tmp_path / "good").model, tmp_path / "store")
    dull = replace(rating, users=rating.users * np.float32(0.4))
    worse = make_world(tmp_path / "worse", rating=dull, ranking=ranking)
    verdict, measured = evaluate_world(worse, tmp_path, champion=store)
    assert "mse no worse than champion" in names_of_failed(verdict)
    assert measured["champion"]["mse"] < measured["metrics"]["mse"]
    alone, _ = evaluate_world(worse, tmp_path)
    assert not [check for check in alone.checks if "champion" in check.name]


def test_a_model_as_good_as_the_champion_passes(world: World, tmp_path: Path) -> None:
    verdict, measured = evaluate_world(
        world, tmp_path, champion=deploy(world.model, tmp_path / "store")
    )
    assert verdict.passed
    assert len([check for check in verdict.checks if "champion" in check.name]) == 4
    assert measured["champion"]["ndcg_at_10"] == measured["metrics"]["ndcg_at_10"]


def test_a_store_without_a_model_is_no_champion(world: World, tmp_path: Path) -> None:
    verdict, _ = evaluate_world(world, tmp_path, champion=str(tmp_path / "nothing"))
    assert verdict.passed


def test_a_champion_that_learned_the_test_rows_is_no_evidence(world: World, tmp_path: Path) -> None:
    everything = replace(world.trained.seen, held_out=np.zeros(0, np.int32))
    knowing = make_world(tmp_path / "knowing", seen=everything)
    verdict, _ = evaluate_world(world, tmp_path, champion=deploy(knowing.model, tmp_path / "store"))
    assert not verdict.passed
    assert "Not enough evidence: 0 test ratings" in verdict.summary


def test_the_gate_can_be_set(world: World, tmp_path: Path) -> None:
    check = CheckSettings(metric="coverage_at_10", comparison="at_least", threshold=2)
    verdict, _ = evaluate_world(world, tmp_path, gate=(check,))
    assert names_of_failed(verdict) == ["coverage_at_10 at least 2"]


def test_a_gate_of_ones_own_is_said_to_stand_in_place_of_the_built_in_one(
    world: World, tmp_path: Path
) -> None:
    lenient = CheckSettings(metric="mse", comparison="at_most", threshold=99)
    hard = CheckSettings(metric="mse", comparison="at_most", threshold=0)
    for name, check in {"passed": lenient, "failed": hard}.items():
        verdict, _ = evaluate_world(world, tmp_path / name, gate=(check,))
        assert verdict.passed == (name == "passed")
        assert verdict.summary.endswith("stand in place of the built-in ones.")
        assert (
            "stand in place of the built-in ones" in (tmp_path / name / "report.html").read_text()
        )
    built_in, _ = evaluate_world(world, tmp_path / "built-in")
    assert built_in.notes == ()


def test_a_champion_of_another_catalogue_is_replaced_on_request_alone(
    world: World, tmp_path: Path
) -> None:
    catalogue = world.trained.catalogue
    names = [f"other-{product}" for product in catalogue.products]
    other = replace(catalogue, products=StringTable.of(names))
    store = deploy(make_world(tmp_path / "other", catalogue=other).model, tmp_path / "store")
    refused, _ = evaluate_world(world, tmp_path, champion=store)
    assert names_of_failed(refused) == ["same catalogue as the deployed model"]
    assert "set replace_catalogue=true" in refused.summary
    assert refused.notes == ()
    lenient = CheckSettings(metric="mse", comparison="at_most", threshold=99)
    own, _ = evaluate_world(world, tmp_path, champion=store, gate=(lenient,))
    assert names_of_failed(own) == ["same catalogue as the deployed model"]
    replaced, _ = evaluate_world(world, tmp_path, champion=store, replace_catalogue=True)
    assert replaced.passed
    assert replaced.notes == (
        "The deployed model knows none of these products, so it was not compared.",
    )


def test_degenerate_data_are_refused_until_they_are_allowed_by_name(tmp_path: Path) -> None:
    constant = make_world(tmp_path / "world", constant_stars=True)
    refused, _ = evaluate_world(constant, tmp_path)
    assert "constant_stars" in names_of_failed(refused)
    assert (
        "All ratings are 4: there is nothing to learn about stars. Set allow=[constant_stars] to "
        "accept it." in refused.summary
    )
    lenient = CheckSettings(metric="mse", comparison="at_most", threshold=99)
    own, _ = evaluate_world(constant, tmp_path, gate=(lenient,))
    assert names_of_failed(own) == ["constant_stars"]
    allowed, _ = evaluate_world(constant, tmp_path, gate=(lenient,), allow=("constant_stars",))
    assert allowed.passed
    assert allowed.notes[-1] == (
        "All ratings are 4: there is nothing to learn about stars. This was allowed "
        "(constant_stars)."
    )


def test_a_model_of_other_splits_is_refused(world: World, tmp_path: Path) -> None:
    other = make_world(tmp_path / "other", seed=5)
    with pytest.raises(UserError, match="was not trained on"):
        evaluate_world(replace(world, splits=other.splits), tmp_path)
    assert not (tmp_path / "verdict").exists()
    assert not (tmp_path / "report.html").exists()


def test_runs_from_a_shell(world: World, tmp_path: Path) -> None:
    arguments = [f"--{name}={getattr(world, name)}" for name in ("ratings", "splits", "model")]
    outputs = [f"--report={tmp_path}/report.html", f"--verdict={tmp_path}/verdict"]
    gate = '--gate=[{"metric": "mse", "comparison": "at_most", "threshold": 3}]'
    command = [sys.executable, "-m", "components.evaluate", *arguments, *outputs, gate]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (
        0,
        "The model passed all 10 checks. The checks of the gate that was given stand in place of "
        "the built-in ones.\n",
    )
    wrong = subprocess.run([*command, "--gate=[{}]"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert wrong.stderr.strip().splitlines()[-1].startswith("error: evaluate: ")
