"""Convert cron expressions of six fields from the user's time zone to the scheduler's.

Kubeflow's controller reads the expressions of all schedules in a single time zone.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from croniter import CroniterBadCronError, croniter

from components.errors import UserError

_FIELD = re.compile(r"(\*|\?|\d+|[A-Za-z]{3})([-/,](\d+|[A-Za-z]{3}))*")
_DAY_MINUTES = 24 * 60
_ANY = {"*", "?"}


def check_cron(expression: str) -> str:
    """Return the expression: second, minute, hour, day of month, month, day of week.

    Raises:
        ValueError: if Kubeflow's scheduler does not accept it.
    """
    fields = expression.split()
    if len(fields) != 6:
        raise ValueError("it needs 6 fields: second minute hour day-of-month month day-of-week")
    if not all(map(_FIELD.fullmatch, fields)) or "7" in fields[5]:
        raise ValueError("it may have numbers, names, * ? , - / only, and Sunday is 0")
    try:
        croniter(expression, second_at_beginning=True)
    except CroniterBadCronError as error:
        raise ValueError(str(error)) from None
    return " ".join(fields)


def next_time(expression: str, zone: ZoneInfo, after: datetime) -> datetime:
    """The next time of an expression.

    Args:
        expression: six fields.
        zone: the time zone of the expression.
        after: the time to begin at.
    """
    times = croniter(expression, after.astimezone(zone), second_at_beginning=True)
    due: datetime = times.get_next(datetime)
    return due


def move_cron(expression: str, zone: ZoneInfo, target: ZoneInfo, at: datetime) -> str:
    """Convert an expression to another time zone.

    Args:
        expression: six fields.
        zone: the time zone of the expression.
        target: the time zone to convert to.
        at: the moment at which the difference between the zones is taken.

    Raises:
        UserError: if no single expression has the same times there.
    """
    offset = (_offset(target, at) - _offset(zone, at)) // timedelta(minutes=1)
    if offset == 0:
        return expression
    second, _, _, day, month, weekday = expression.split()
    minutes_of_day, hours_of_day, _, _, weekdays, _ = _expanded(expression)
    moved = [
        divmod(60 * hour + minute + offset, _DAY_MINUTES)
        for hour, minute in product(hours_of_day, minutes_of_day)
    ]
    hours = {minute // 60 for _, minute in moved}
    minutes = {minute % 60 for _, minute in moved}
    shifts = {shift for shift, _ in moved}
    any_day = {day, month, weekday} <= _ANY
    same_days = any_day or shifts == {0} or (len(shifts) == 1 and {day, month} <= _ANY)
    if len(hours) * len(minutes) != len(moved) or not same_days:
        raise UserError(
            f"cron {expression!r} in {zone} has no equivalent in the scheduler's zone {target}: "
            "choose an hour that falls on the same day in both, or set CRON_SCHEDULE_TIMEZONE of "
            "ml-pipeline-scheduledworkflow"
        )
    if weekday not in _ANY:
        weekday = _list((day + min(shifts)) % 7 for day in weekdays)
    return " ".join([second, _list(minutes), _list(hours), day, month, weekday])


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None, "an aware time has an offset"
    return offset


def _expanded(expression: str) -> list[list[int]]:
    """The numbers of each field: minute, hour, day of month, month, day of week, second."""
    fields, _ = croniter.expand(expression, second_at_beginning=True)
    ranges = [range(60), range(24), range(1, 32), range(1, 13), range(7), range(60)]
    return [
        list(every) if field == ["*"] else field
        for field, every in zip(fields, ranges, strict=True)
    ]


def _list(numbers: Iterable[int]) -> str:
    return ",".join(map(str, sorted(set(numbers))))
