"""Cron expressions in another time zone come due at the same moments."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import UserError
from pipelines.kubeflow.cron import check_cron, move_cron, next_time

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
WINTER = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)


@st.composite
def expressions(draw: st.DrawFn) -> str:
    minutes = draw(st.sampled_from(["0", "30", "5,35", "*/15", "*"]))
    hours = draw(st.sampled_from(["3", "0", "23", "1,13", "*", "8-17"]))
    days = draw(st.sampled_from(["* * *", "? * MON", "* * 1-5", "1 * ?", "* JAN 0,6"]))
    return f"0 {minutes} {hours} {days}"


@given(expressions(), st.sampled_from(ZONES), st.sampled_from(ZONES))
def test_a_moved_expression_comes_due_at_the_same_moments(
    expression: str, source: str, target: str
) -> None:
    try:
        moved = move_cron(expression, ZoneInfo(source), ZoneInfo(target), WINTER)
    except UserError:
        return
    ours, theirs = WINTER, WINTER
    for _ in range(20):
        ours = next_time(expression, ZoneInfo(source), ours)
        theirs = next_time(moved, ZoneInfo(target), theirs)
        if ours - WINTER > timedelta(days=40):  # the clocks of some zones change in March
            break
        assert ours == theirs


def test_the_day_of_the_week_moves_along() -> None:
    at_night = move_cron("0 30 0 ? * MON", ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), WINTER)
    assert at_night == "0 30 23 ? * 0"


def test_the_clocks_of_summer_give_another_expression() -> None:
    zone, summer = ZoneInfo("Europe/Berlin"), WINTER + timedelta(days=180)
    assert move_cron("0 0 3 * * 1", zone, ZoneInfo("UTC"), WINTER) == "0 0 2 * * 1"
    assert move_cron("0 0 3 * * 1", zone, ZoneInfo("UTC"), summer) == "0 0 1 * * 1"


@pytest.mark.parametrize("expression", ["0 0 0 1 * ?", "0 0 0,12 ? * 1"])
def test_what_no_expression_can_say_is_refused(expression: str) -> None:
    with pytest.raises(UserError, match="CRON_SCHEDULE_TIMEZONE"):
        move_cron(expression, ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), WINTER)


@pytest.mark.parametrize(
    "expression", ["0 3 * * 1", "0 0 25 * * *", "0 0 3 * * 7", "0 0 3 L * ?", "@daily", ""]
)
def test_an_expression_that_the_scheduler_cannot_read_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_cron(expression)
