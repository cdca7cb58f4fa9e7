"""What a run came to, for people."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from pipelines.summary import show

ODD = ("[/Music]", "[bold]x[/]", "[a]", ":heart:", "\\[b]", "[")


def printed(summary: dict[str, Any]) -> str:
    output = StringIO()
    show(summary, Console(file=output, width=200))
    return " ".join(output.getvalue().split())


@pytest.mark.parametrize("odd", ODD)
def test_nothing_of_the_data_is_taken_for_markup(odd: str) -> None:
    checks = [{"name": "mse", "passed": False, "reason": f"reason {odd}"}]
    text = printed(
        {
            "steps": {"train": {"state": "SUCCEEDED", "seconds": 1.0}},
            "metrics": {"mse": 1.25},
            "baselines": {},
            "verdict": {"passed": False, "summary": f"verdict {odd}", "checks": checks},
            "customer": odd,
            "liked": [f"liked {odd}"],
            "recommendations": [
                {"product_id": "1", "title": f"title {odd}", "score": 1.0},
                {"product_id": f"id {odd}", "title": "", "score": 0.5},
            ],
        }
    )
    for shown in ("reason {}", "Verdict: verdict {}", "Customer {} liked", "liked {}", "title {}"):
        assert shown.format(odd) in text
    assert f"id {odd}" in text
