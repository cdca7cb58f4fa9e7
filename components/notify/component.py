"""The exit handler as Kubeflow runs it."""

from __future__ import annotations

import os

from kfp import dsl


def notify(status: dsl.PipelineTaskFinalStatus, run_id: str, ui: str = "") -> None:
    """Log how the run ended, and post it to the webhook in ALSOLIKE_WEBHOOK_URL, if it is set.

    Args:
        status: The end of the run, as far as Kubeflow knows it in a step of the same run.
        run_id: Id of the run.
        ui: Address of the UI, for a link to the run; empty for none.
    """
    from components.notify.notify import Outcome, known_state, notify

    outcome = Outcome(
        state=known_state(status.state),
        run=status.pipeline_job_resource_name,
        link=f"{ui}/#/runs/details/{run_id}" if ui else "",
        error=status.error_message or "",
    )
    notify(outcome, os.environ.get("ALSOLIKE_WEBHOOK_URL", ""))
