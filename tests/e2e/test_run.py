"""The whole pipeline from a shell, as a newcomer runs it: from ratings to a served answer."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.runs import QUICK, STEPS, Run, interrupt, run

# A proxy that nobody answers for, and that is excepted for nothing.
DEAD_PROXY = {
    **dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy"), "http://127.0.0.1:9"),
    "no_proxy": "",
    "NO_PROXY": "",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def passed(ratings: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("passed"), str(ratings), environment=DEAD_PROXY)


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(passed: Run) -> None:
    assert passed.code == 0, passed.errors


def test_a_model_that_passes_is_deployed_and_answers(passed: Run) -> None:
    summary = passed.summary
    assert passed.code == 0, passed.errors
    assert summary["verdict"]["passed"]
    assert summary["models"] == {"rating": "bayes", "ranking": "ridge"}
    assert {name: step["state"] for name, step in summary["steps"].items()} == dict.fromkeys(
        STEPS, "SUCCEEDED"
    )
    assert summary["endpoint"]["checked"]
    assert len(summary["recommendations"]) == 10
    assert all(product["title"] for product in summary["recommendations"])
    assert summary["liked"]


def test_kubeflow_can_store_what_is_said_of_every_artifact(passed: Run) -> None:
    """Its launcher fails a step that says null of an artifact, and reads no NaN or Infinity."""
    outputs = {file.parent.name: file for file in passed.folder.rglob("executor_output.json")}
    assert set(outputs) == STEPS
    for step, file in outputs.items():
        output = json.loads(file.read_text(), parse_constant=pytest.fail)
        for artifacts in output.get("artifacts", {}).values():
            for artifact in artifacts["artifacts"]:
                assert None not in artifact["metadata"].values(), (step, artifact)


def test_artifacts_say_what_they_were_made_from(passed: Run) -> None:
    [ratings] = _artifacts(passed, "ingest", "ratings")
    [model] = _artifacts(passed, "train", "model")
    [endpoint] = _artifacts(passed, "deploy", "endpoint")
    source = {"source": "s3://ratings/ratings.tsv.gz", "source_version": ratings["source_version"]}
    assert ratings == source
    chosen = {"rating_model": "bayes", "ranking_model": "ridge"}
    figures = {"validation_mse", "validation_ndcg_at_10", "validation_ndcg_at_50"}
    assert model == source | chosen | {name: model[name] for name in figures | {"alsolike"}}
    assert endpoint["version"] == passed.summary["endpoint"]["version"]


def _artifacts(ended: Run, step: str, name: str) -> list[dict[str, Any]]:
    [file] = ended.folder.rglob(f"{step}/executor_output.json")
    artifacts = json.loads(file.read_text())["artifacts"][name]["artifacts"]
    return [artifact["metadata"] for artifact in artifacts]


def test_the_model_beats_its_baselines(passed: Run) -> None:
    metrics, baselines = passed.summary["metrics"], passed.summary["baselines"]
    for name in ("global_mean", "item_mean", "bias"):
        assert metrics["mse"] < baselines[name]["mse"]
    assert metrics["ndcg_at_10"] > baselines["popularity"]["ndcg_at_10"]


def test_a_person_reads_steps_figures_verdict_titles_and_what_to_do_next(passed: Run) -> None:
    for shown in ("evaluate", "ndcg_at_10", "Verdict", "and may also like", "make serve"):
        assert shown in passed.output
    folder = (passed.folder / "runs" / "latest").resolve()
    assert f"Report   {folder}/report.html\nSummary  {folder}/summary.json\n" in passed.output
    assert Path(passed.summary["report"]).read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_a_gate_that_says_no_ends_well_and_deploys_nothing(ratings: Path, tmp_path: Path) -> None:
    gate = '[{"metric":"mse","comparison":"at_most","threshold":0.01,"slice":"[/Music]"}]'
    ended = run(tmp_path, str(ratings), f"{QUICK} 'gate={gate}'")
    assert ended.code == 0, ended.errors
    assert not ended.summary["verdict"]["passed"]
    assert ended.summary["steps"]["deploy"]["state"] == "SKIPPED"
    assert ended.summary["recommendations"] == []
    assert not (tmp_path / "runs" / "endpoint").exists()
    assert "Nothing was deployed" in ended.output
    assert "No slice is called '[/Music]'" in ended.output.partition("Nothing was deployed")[2]
    assert f"Report   {ended.summary['report']}\n" in ended.output


@pytest.mark.slow
def test_a_step_that_fails_has_the_last_word(ratings: Path, tmp_path: Path) -> None:
    ended = run(tmp_path, str(ratings), f"{QUICK} min_customer_ratings=1000")
    last = ended.errors.strip().splitlines()[-1]
    assert ended.code == 1
    assert last.startswith("error: prepare: too few of the ")
    assert "set min_customer_ratings=" in last
    assert "Traceback" not in ended.output + ended.errors
    assert ended.summary["steps"]["prepare"]["state"] == "FAILED"
    assert ended.summary["steps"]["notify"]["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ("epoch=3", "; did you mean epochs?"),
        ("epochs=many", "parameter epochs=many: it takes a whole number"),
        ("epochs", "write name=value"),
        ("missing.yaml", "cannot read the parameters from missing.yaml"),
    ],
)
def test_wrong_parameters_are_one_line_before_anything_starts(
    ratings: Path, tmp_path: Path, params: str, error: str
) -> None:
    ended = run(tmp_path, str(ratings), params)
    assert ended.code == 1
    assert error in ended.errors
    assert len(ended.errors.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_source_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    ended = run(tmp_path, "nowhere.tsv.gz")
    assert ended.code == 1
    assert ended.errors.startswith("error: there is no nowhere.tsv.gz")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "until"),
    [(signal.SIGTERM, ""), (signal.SIGINT, "ingest"), (signal.SIGTERM, "train")],
)
def test_nothing_is_left_running_after_an_interrupt(
    ratings: Path, tmp_path: Path, number: signal.Signals, until: str
) -> None:
    printed = interrupt(tmp_path, ratings, number, until)
    assert "Traceback" not in printed
    assert printed.strip().rpartition("\n")[2].startswith("interrupted")
    deadline = time.monotonic() + 60
    while left := _processes_of(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


@pytest.mark.slow
def test_an_interrupt_says_where_the_log_is_and_the_run_is_the_latest(
    ratings: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs" / "before").mkdir(parents=True)
    (tmp_path / "runs" / "latest").symlink_to("before")
    printed = interrupt(tmp_path, ratings, signal.SIGINT, "ingest")
    (log,) = (tmp_path / "runs").glob("20*/log.txt")
    assert printed.endswith(f"\ninterrupted: what the steps printed is in {log}\n")
    assert printed.startswith(f"Run      {log.parent}\n")
    assert (tmp_path / "runs" / "latest").resolve() == log.parent
    error = json.loads((log.parent / "summary.json").read_text())["error"]
    assert error == {"step": "ingest", "message": "interrupted"}


def _processes_of(folder: Path) -> list[str]:
    """Commands of whatever runs below a folder, or was started from it."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if (process.info["cwd"] or "").startswith(str(folder)) or str(folder) in words:
            found.append(words)
    return found
