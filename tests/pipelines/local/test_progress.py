"""The states of steps are read from what the local runner prints."""

from pipelines.local.progress import StepRun, read_steps, settle

LINES = """
10:00:00.0 - INFO - Executing task 'ask'
    10:00:00 ask: a batch of two
10:00:01.0 - INFO - Task 'ask' finished with status SUCCESS
10:00:01.0 - INFO - Executing task \x1b[96m'trial'\x1b[0m
10:00:01.0 - INFO - Executing task 'trial'
    error: trial: no luck
10:00:02.0 - INFO - Task \x1b[96m'trial'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m
10:00:03.0 - INFO - Task 'trial' finished with status FAILURE
10:00:03.0 - INFO - Pipeline 'p' finished with status FAILURE
""".splitlines()


def test_steps_that_run_at_the_same_time_each_end() -> None:
    said: list[str] = []
    steps: list[StepRun] = []
    read_steps(LINES, steps, said.append)
    assert [(step.name, step.state) for step in steps] == [
        ("ask", "SUCCEEDED"),
        ("trial", "SUCCEEDED"),
        ("trial", "FAILED"),
    ]
    assert steps[2].error == "error: trial: no luck"
    assert said[:2] == ["ask", "  10:00:00 ask: a batch of two"]


def test_a_step_that_never_ended_is_still_running() -> None:
    steps: list[StepRun] = []
    read_steps(["10:00:00.0 - INFO - Executing task 'train'"], steps, print)
    (step,) = steps
    assert step.state == "RUNNING"


def test_a_step_without_words_of_its_own_shows_its_traceback() -> None:
    lines = ["    Traceback (most recent call last):", '      File "x.py"', "    KeyError: 'a'"]
    step = StepRun("train", output=["noise", *lines, ""])
    assert step.error.splitlines()[0] == "Traceback (most recent call last):"
    assert step.error.splitlines()[-1] == "KeyError: 'a'"


def test_a_step_whose_end_was_lost_ends_as_the_run_did() -> None:
    for failed, state in ((False, "SUCCEEDED"), (True, "FAILED")):
        steps = [StepRun("a"), StepRun("b", state="SUCCEEDED")]
        settle(steps, failed)
        assert [step.state for step in steps] == [state, "SUCCEEDED"]
