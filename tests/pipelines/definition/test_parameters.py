"""Parameters are read as they are meant, and wrong ones refused before anything starts."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components.errors import UserError
from pipelines.command.main import app
from pipelines.definition.package import SHIPPED, read_package
from pipelines.definition.parameters import check_settings, read_given


def test_a_file_may_hold_dates_and_numbers_as_yaml_has_them(tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("since: 2030-06-01\nmin_rating: 1\nrating_column: 2\nlearning_rate: 1\n")
    _, given = read_given(None, str(file))
    assert read_package(SHIPPED).parameters({**given, "source": "s3://b/k"}) == {
        "since": "2030-06-01",
        "min_rating": "1",
        "rating_column": "2",
        "learning_rate": 1,
        "source": "s3://b/k",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", [3]),
        ("epochs", 2.5),
        ("epochs", True),
        ("fixpoint", 1),
        ("gate", {}),
        ("since", []),
    ],
)
def test_a_value_of_another_kind_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"parameter {name}=.*: it takes "):
        read_package(SHIPPED).parameters({"source": "s3://b/k", name: value})


def test_the_source_may_be_among_the_parameters_but_not_twice() -> None:
    assert read_given(None, "source=s3://b/k epochs=3") == ("s3://b/k", {"epochs": "3"})
    assert read_given("own.csv", "epochs=3") == ("own.csv", {"epochs": "3"})
    assert read_given("", "") == (None, {})
    with pytest.raises(UserError, match=r"given twice, as own.csv and .* as s3://b/k: leave one"):
        read_given("own.csv", "source=s3://b/k")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"epochs": -1}, "train: epochs=-1"),
        ({"format": "cvs"}, "ingest: format='cvs'"),
        ({"since": "2020-01-02", "until": "2020-01-01"}, "ingest: .*since is later than until"),
        ({"gate": [{"metric": "mse", "comparison": "atmost"}]}, "evaluate: gate.0.comparison"),
        ({"target": "kserve", "destination": "runs"}, "deploy: .*needs a destination that begins"),
    ],
)
def test_what_a_step_would_refuse_is_refused_at_once(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_settings({"source": "", "destination": "runs/endpoint", **wrong})


def test_the_defaults_are_no_mistake() -> None:
    check_settings({"source": ""})


def test_every_parameter_is_listed_with_its_default_and_purpose() -> None:
    listed = CliRunner().invoke(app, ["parameters"]).stdout
    declared = read_package(SHIPPED).pipeline.root.input_definitions.parameters
    for name in declared:
        assert f"\n{name} = " in f"\n{listed}" or f"\n{name}\n" in f"\n{listed}"
    assert "epochs = 20\n    Train: Most epochs of mf and mlp" in listed
    assert "gate = []\n" in listed


def test_the_parameters_of_a_search_are_listed_before_those_of_a_run() -> None:
    listed = CliRunner().invoke(app, ["parameters", "--tune"]).stdout
    names = [line.partition(" = ")[0] for line in listed.splitlines() if not line.startswith(" ")]
    assert names[:5] == ["objective", "trials", "minutes", "batch", "source"]
    assert "trials = 16\n    Most trials." in listed
    assert "epochs" in names
    assert "ranking_model" not in names


def test_a_name_that_is_unknown_is_answered_with_those_like_it() -> None:
    with pytest.raises(UserError, match=r"did you mean max_rating or min_rating"):
        read_package(SHIPPED).parameters({"max_ratings": "3"})
