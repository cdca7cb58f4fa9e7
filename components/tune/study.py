"""A search without state: every batch is proposed from the results so far.

The first trial has the default settings of training, so the best trial is never worse on validation
than the defaults.
"""

import math
from typing import Any

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from components.errors import UserError
from components.tune.settings import TuneSettings
from components.tune.space import DIRECTIONS, METRICS, SPACES, Objective

Proposal = dict[str, Any]
"""A trial to run.

It has a `number`, `parameters` to train with, `search` (the parameters by their names in Optuna)
and `proposed_at` (seconds since 1970, UTC). An empty proposal is no trial.
"""
Result = dict[str, Any]
"""A proposal with the `figures` and `settings` of its training, or with the `error` it caused."""


def next_batch(
    settings: TuneSettings, results: list[Result], seed: int, now: float
) -> list[Proposal]:
    """Propose the next trials within the budget; one empty proposal when it is used up.

    The search starts with its first batch. An empty list would be simpler than an empty proposal,
    but kfp.local cannot collect the results of a loop without iterations.

    Args:
        settings: what to tune, and the budget.
        results: of all trials so far.
        seed: of the search.
        now: the current time, in seconds since 1970, UTC.
    """
    started = results[0]["proposed_at"] if results else now
    late = settings.minutes and now - started >= 60 * settings.minutes
    count = min(settings.batch, settings.trials - len(results))
    if late or count <= 0:
        return [{}]
    proposals = propose(settings.objective, results, count, seed)
    return [proposal | {"proposed_at": now} for proposal in proposals]


def propose(objective: Objective, results: list[Result], count: int, seed: int) -> list[Proposal]:
    """Propose trials: some at random, then by Optuna's tree-structured Parzen estimator.

    Args:
        objective: what to optimize.
        results: of all trials so far.
        count: the number of trials to propose.
        seed: of the search.
    """
    study = _study(objective, results, seed)
    first, end = len(results), len(results) + count
    proposals: list[Proposal] = [] if first else [{"number": 0, "parameters": {}, "search": {}}]
    for number in range(first + len(proposals), end):
        trial = study.ask()
        parameters = SPACES[objective](trial)
        proposals.append({"number": number, "parameters": parameters, "search": trial.params})
    return proposals


def value_of(objective: Objective, result: Result) -> float | None:
    """The metric of a trial, or None if it failed."""
    value = result.get("figures", {}).get(METRICS[objective])
    return value if value is not None and math.isfinite(value) else None


def best_of(objective: Objective, results: list[Result]) -> Result:
    """The best trial.

    Raises:
        UserError: if none succeeded.
    """
    done = [result for result in results if value_of(objective, result) is not None]
    if not done:
        errors = {result.get("error", "no figure") for result in results}
        raise UserError(f"no trial succeeded: {'; '.join(sorted(errors)) or 'there was none'}")
    sign = 1 if DIRECTIONS[objective] == "minimize" else -1
    return min(done, key=lambda result: sign * (value_of(objective, result) or 0))


def _study(objective: Objective, results: list[Result], seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The trials of a batch run at the same time. Assuming bad results for them spreads them out.
    sampler = optuna.samplers.TPESampler(
        seed=seed + len(results), n_startup_trials=8, constant_liar=True
    )
    study = optuna.create_study(direction=DIRECTIONS[objective], sampler=sampler)
    study.add_trials([_told(objective, result) for result in results if result["search"]])
    return study


def _told(objective: Objective, result: Result) -> FrozenTrial:
    value = value_of(objective, result)
    trial = FixedTrial(result["search"])
    SPACES[objective](trial)
    # A whole number comes back from Kubeflow as a float.
    params = {
        name: kind.to_external_repr(kind.to_internal_repr(result["search"][name]))
        for name, kind in trial.distributions.items()
    }
    return create_trial(
        state=TrialState.FAIL if value is None else TrialState.COMPLETE,
        value=value,
        params=params,
        distributions=trial.distributions,
    )
