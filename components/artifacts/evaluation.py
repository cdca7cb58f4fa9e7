"""The `verdict` artifact: the metrics, and whether the model may be deployed.

| file | content |
|---|---|
| `verdict.json` | `passed`, a `summary`, `checks`, each with figure and threshold, and `notes` |
| `evaluation.json` | `metrics` (value by name), `baselines` and `champion` (likewise, or null), \
`intervals` (lowest and highest by metric), `calibration`, `slices`, `weakest_slices`, \
`test_customers` (the numbers `judged` and `all`), `settings` with all checks of the gate |

A value that could not be computed is null.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.artifacts.folder import ArtifactWriter, read_manifest

KIND = "verdict"
SCHEMA_VERSION = 1

VERDICT = "verdict.json"
EVALUATION = "evaluation.json"

RATING_METRICS = ("mse", "rmse", "mae")
RANKING_METRICS = tuple(
    f"{name}_at_{cut}"
    for cut in (5, 10, 20)
    for name in ("ndcg", "recall", "map", "mrr", "hit_rate")
)
LIKED = "liked_"
LIKED_METRICS = tuple(f"{LIKED}{name}_at_10" for name in ("ndcg", "recall", "hit_rate"))
"""Over the test ratings that the customer liked."""
DISLIKED = "disliked_at_10"
"""The share of the places that the model expects to get less than 3 of 5 stars."""
LIST_METRICS = (
    DISLIKED,
    "coverage_at_10",
    "novelty_at_10",
    "gini_at_10",
    "intra_list_similarity_at_10",
)
METRICS = RATING_METRICS + RANKING_METRICS + LIKED_METRICS + LIST_METRICS
LOWER_IS_BETTER = frozenset(
    {*RATING_METRICS, DISLIKED, "gini_at_10", "intra_list_similarity_at_10"}
)

RATING_BASELINES = ("global_mean", "item_mean", "bias")
RANKING_BASELINES = ("random", "popularity", "recent_popularity", "cooccurrence")
BASELINES = RATING_BASELINES + RANKING_BASELINES


@dataclass(frozen=True)
class Check:
    """One check of the gate.

    Attributes:
        name: such as `ndcg_at_10 better than popularity`.
        passed: whether the figure satisfies the threshold.
        figure: the value of the model; None if it could not be computed.
        threshold: the value that the figure was compared with; None likewise.
        reason: one sentence for a person.
    """

    name: str
    passed: bool
    figure: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The answer of the gate, which passes if every check passes.

    Attributes:
        checks: the checks.
        notes: sentences on what was not checked, for whoever relies on the verdict.
    """

    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def summary(self) -> str:
        """Why the model may be deployed, or why it may not, and the notes."""
        failed = [check for check in self.checks if not check.passed]
        if not failed:
            return " ".join((f"The model passed all {len(self.checks)} checks.", *self.notes))
        reasons = " ".join((*(check.reason for check in failed), *self.notes))
        return f"The model failed {len(failed)} of {len(self.checks)} checks: {reasons}"

    @property
    def content(self) -> dict[str, Any]:
        """The content of `verdict.json`, as values for JSON."""
        checks = [asdict(check) for check in self.checks]
        words = {"summary": self.summary, "notes": list(self.notes)}
        return {"passed": self.passed, "checks": checks, **words}


def write_verdict(writer: ArtifactWriter, verdict: Verdict, evaluation: Mapping[str, Any]) -> None:
    """Write the files of a verdict into an artifact under construction.

    Args:
        writer: of the artifact.
        verdict: the content of `verdict.json`.
        evaluation: the content of `evaluation.json`.
    """
    _write_json(writer.path / VERDICT, verdict.content)
    _write_json(writer.path / EVALUATION, evaluation)


def read_verdict(folder: Path) -> Verdict:
    """Read a verdict whose files agree with its manifest.

    Raises:
        UserError: if the folder is damaged, of another kind, or of another version.
    """
    read_manifest(folder, KIND, SCHEMA_VERSION)
    content = json.loads((folder / VERDICT).read_text())
    return Verdict(tuple(Check(**one) for one in content["checks"]), tuple(content["notes"]))


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(_finite(value), indent=1, sort_keys=True, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """The same value with null for every number that JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
