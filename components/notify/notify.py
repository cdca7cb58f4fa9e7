"""The exit handler: log a run's outcome and, on request, post it to a webhook."""

import json
import logging
import urllib.request
from dataclasses import asdict, dataclass

from components.errors import UserError

log = logging.getLogger(__name__)

_SECONDS = 10


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        state: such as SUCCEEDED or FAILED.
        run: the run's resource name. link: where a person looks at it; may be empty.
        error: what went wrong, empty if nothing did.
    """

    state: str
    run: str
    link: str
    error: str


def notify(outcome: Outcome, webhook: str) -> None:
    """Log an outcome and post it as JSON unless `webhook` is empty.

    Raises:
        UserError: if the webhook does not take it.
    """
    log.info("the run %s: %s", outcome.state.lower(), outcome.link or outcome.run)
    if not webhook:
        return
    # Chat services show `text`; programs read the rest.
    text = f"alsolike: {outcome.run} {outcome.state.lower()} {outcome.link}".strip()
    try:
        request = urllib.request.Request(
            webhook,
            data=json.dumps({"text": text, **asdict(outcome)}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=_SECONDS):
            log.info("the webhook took the outcome")
    # Not the URL itself: webhooks carry their secret in it.
    except ValueError:
        raise UserError("the webhook is no URL: check its secret") from None
    except OSError as error:
        raise UserError(f"the webhook did not take the outcome: {error}: check its URL") from None
