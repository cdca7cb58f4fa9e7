"""The exit handler as a Kubeflow component."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def notify(status: dsl.PipelineTaskFinalStatus, run_url: str = "") -> None:
    """Say how the run ended; post it to the webhook that ALSOLIKE_WEBHOOK_URL names, if any.

    Args:
        status: How the run ended.
        run_url: Address of the run in the UI, sent along.
    """
    import os

    from components.notify.notify import Outcome, notify
    from components.step import step

    with step("notify"):
        outcome = Outcome(
            state=status.state,
            run=status.pipeline_job_resource_name,
            link=run_url,
            error=status.error_message or "",
        )
        notify(outcome, os.environ.get("ALSOLIKE_WEBHOOK_URL", ""))
