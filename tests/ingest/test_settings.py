"""Settings tell at once what cannot be meant."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from tests.ingest.sources import settings


@pytest.mark.parametrize(
    "run_date",
    ["2015-08-31", "20150831", "20150831063000", "2015-08-31T06:30:00Z", date(2015, 8, 31)],
)
def test_a_schedule_takes_the_days_up_to_its_date(run_date: object) -> None:
    window = settings(run_date=run_date, window_days=31)
    assert (window.first_day, window.last_day) == (date(2015, 8, 1), date(2015, 8, 31))


def test_without_a_window_every_day_is_taken() -> None:
    everything = settings(run_date="2015-08-31", since="", until="")
    assert everything.first_day is None
    assert everything.last_day is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_days": 30}, "window_days needs run_date"),
        ({"window_days": 30, "run_date": "2015-01-01", "since": "2014-01-01"}, "excludes since"),
        ({"since": "2015-01-02", "until": "2015-01-01"}, "since is later than until"),
        ({"min_rating": "5", "max_rating": "1"}, "min_rating is greater than max_rating"),
        ({"since": "soon"}, "expected a date such as 2015-08-31"),
        ({"source": "/tmp/file"}, "expected s3://bucket/key"),
        ({"source": ""}, "at least 1 character"),
        ({"format": "xml"}, "Input should be 'auto', 'amazon'"),
        ({"max_rejected_fraction": 2}, "less than or equal to 1"),
        ({"anonymous": True, "mirror_to": "s3://mine/"}, "mirror_to needs credentials"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_contradiction_is_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**changes)
