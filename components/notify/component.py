"""The exit handler as Kubeflow runs it."""

from __future__ import annotations

import os

from kfp import dsl


def notify(status: dsl.PipelineTaskFinalStatus, run_url: str = "") -> None:
    """Say how the run ended; post it to the webhook that ALSOLIKE_WEBHOOK_URL names, if any.

    Args:
        status: How the run ended.
        run_url: Address of the run in the UI, sent along.
    """
    from components.notify.notify import Outcome, notify

    outcome = Outcome(
        state=status.state,
        run=status.pipeline_job_resource_name,
        link=run_url,
        error=status.error_message or "",
    )
    notify(outcome, os.environ.get("ALSOLIKE_WEBHOOK_URL", ""))
