"""The `verdict` artifact: what was measured, and whether the model may be deployed.

| file | content |
|---|---|
| `verdict.json` | passed, a summary sentence, and every check with its figure and threshold |
| `evaluation.json` | every metric of the model, its baselines and the champion |
"""

from dataclasses import dataclass

KIND = "verdict"
SCHEMA_VERSION = 1

VERDICT = "verdict.json"
EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class Check:
    """One check of the gate.

    Attributes:
        name: what is checked, such as `ndcg_at_10 above popularity`.
        passed: whether the figure satisfies the threshold.
        figure: the model's figure, or None where it could not be computed.
        threshold: what the figure was compared with, or None likewise.
        reason: one sentence for a person.
    """

    name: str
    passed: bool
    figure: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The gate's answer: it passes when every check does."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)
