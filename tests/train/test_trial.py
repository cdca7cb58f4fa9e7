"""A trial trains with proposed settings and tells what they reach, or why they failed."""

from pathlib import Path

from components.train.trial import run_trial
from tests.evaluate.worlds import make_sets, write_ratings, write_splits

SHARED = {"objectives": "ranking", "device": "cpu", "seed": 0}


def test_a_trial_tells_its_settings_and_figures(tmp_path: Path) -> None:
    ratings = write_ratings(tmp_path / "ratings")
    splits = write_splits(tmp_path / "splits", ratings, make_sets(120, 40, 0), 120, 40)
    parameters = {"ranking_model": "ridge", "ranking_recency": 0.7}
    proposal = {"number": 3, "search": {"ranking_model": "ridge"}, "parameters": parameters}
    result = run_trial(proposal, SHARED, splits)
    assert result.items() >= proposal.items()
    assert result["settings"].items() >= (SHARED | parameters).items()
    assert 0 < result["figures"]["validation_ndcg_at_10"] < 1
    assert set(tmp_path.iterdir()) == {ratings, splits}


def test_a_failed_trial_tells_why(tmp_path: Path) -> None:
    train, validation, test = make_sets(120, 40, 0)
    none = validation.where(validation.stars > 5)
    ratings = write_ratings(tmp_path / "ratings")
    splits = write_splits(tmp_path / "splits", ratings, (train, none, test), 120, 40)
    result = run_trial({"number": 0, "parameters": {}}, SHARED, splits)
    assert "no validation ratings" in result["error"]
    assert "figures" not in result


def test_an_empty_proposal_is_no_trial(tmp_path: Path) -> None:
    assert run_trial({}, SHARED, tmp_path / "nothing") == {}
