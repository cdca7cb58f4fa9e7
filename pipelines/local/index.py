"""The page of all runs, `index.html` in their folder, with a link to each report."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.pages.page import render_page, write_page
from pipelines.local.summary import LOG, REPORT, SUMMARY, TRIALS

INDEX = "index.html"

# The files of a run that the page links to, if they exist.
_LINKS = {"report": REPORT, "trials": TRIALS, "log": LOG}


def write_index(runs: Path) -> None:
    """Write the page anew from the summary of every run.

    Args:
        runs: the folder of all runs.
    """
    found = [_describe(file) for file in _summaries(runs)]
    page = render_page("pipelines.local", "index.html.jinja", runs=found)
    write_page(runs / INDEX, page)


def _summaries(runs: Path) -> Iterator[Path]:
    """The summary of every run, the newest first, because folders are named by time."""
    for folder in sorted(runs.iterdir(), reverse=True):
        if not folder.is_symlink() and (folder / SUMMARY).is_file():
            yield folder / SUMMARY


def _describe(file: Path) -> dict[str, Any]:
    summary, folder = _read(file), file.parent
    state, reason = _outcome(summary)
    return {
        "name": folder.name,
        "links": {
            name: f"{folder.name}/{page}"
            for name, page in _LINKS.items()
            if (folder / page).is_file()
        },
        "state": state,
        "reason": reason,
        "source": summary.get("source") or "",
        "models": summary.get("models", {}),
        "metrics": summary.get("metrics", {}),
    }


def _read(file: Path) -> dict[str, Any]:
    """Read a summary; a damaged one must not break the page for other runs."""
    try:
        summary = json.loads(file.read_text())
    except ValueError:
        summary = None
    if isinstance(summary, dict):
        return summary
    return {"error": {"step": None, "message": f"its {SUMMARY} is damaged"}}


def _outcome(summary: dict[str, Any]) -> tuple[str, str]:
    """The end of a run in a few words, and the reason if it did not deploy."""
    if error := summary.get("error"):
        state = f"failed in {error['step']}" if error["step"] else "failed"
        return state, error["message"].removeprefix("error: ")
    verdict = summary.get("verdict")
    if verdict and not verdict["passed"]:
        return "refused", verdict["summary"]
    return "deployed", ""
