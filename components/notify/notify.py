"""The exit handler: log a run's outcome and, on request, post it to a webhook."""

import json
import logging
import urllib.request
from dataclasses import asdict, dataclass
from http.client import HTTPException, InvalidURL
from urllib.error import HTTPError

from components.errors import UserError

log = logging.getLogger(__name__)

_SECONDS = 10


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        state: SUCCEEDED, FAILED or ENDED, where it is not known how.
        run: the run's resource name.
        link: where a person looks at it; may be empty.
        error: what went wrong, empty if nothing did.
    """

    state: str
    run: str
    link: str
    error: str


def known_state(state: str) -> str:
    """The state of a run by what Kubeflow tells its exit handler.

    On a cluster the driver passes on what the metadata store last knew, such as COMPLETE or
    RUNNING, also of a run that failed or succeeded. Only these two mean what they say.
    """
    return state if state in ("SUCCEEDED", "FAILED") else "ENDED"


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
        _post(webhook, {"text": text, **asdict(outcome)})
    # Not the URL itself, nor words that may quote it: webhooks carry their secret in it.
    except (InvalidURL, ValueError):
        raise UserError("the webhook is no URL of http or https: check its secret") from None
    except HTTPError as error:
        raise UserError(f"the webhook answered {error.code}: check its URL") from None
    except OSError as error:
        raise UserError(f"the webhook did not take the outcome: {error}: check its URL") from None
    except HTTPException:
        raise UserError("the webhook's server does not speak HTTP: check its URL") from None
    log.info("the webhook took the outcome")


def _post(url: str, content: dict[str, str]) -> None:
    """Post JSON.

    Raises:
        ValueError, InvalidURL: if the URL is none. OSError, HTTPException: if it is not taken.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError
    request = urllib.request.Request(
        url, data=json.dumps(content).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS):
        pass


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for a refusal: what is posted does not arrive where it leads."""

    def redirect_request(self, *_: object) -> None:
        """No request follows."""
