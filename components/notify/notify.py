"""The exit handler: log the outcome of a run, and post it to a webhook if there is one."""

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
        state: SUCCEEDED, FAILED, or ENDED if it is not known how.
        run: the resource name of the run.
        link: the URL of its page; may be empty.
        error: the error message; empty if there is none.
    """

    state: str
    run: str
    link: str
    error: str


def known_state(state: str) -> str:
    """The state of a run, given the one that Kubeflow passes to its exit handler.

    On a cluster the driver passes the last state in the metadata store, which may be COMPLETE or
    RUNNING for a run that has failed or succeeded. Only SUCCEEDED and FAILED can be relied on.
    """
    return state if state in ("SUCCEEDED", "FAILED") else "ENDED"


def notify(outcome: Outcome, webhook: str) -> None:
    """Log an outcome and post it as JSON unless `webhook` is empty.

    Raises:
        UserError: if the webhook does not accept it.
    """
    log.info("the run %s: %s", outcome.state.lower(), outcome.link or outcome.run)
    if not webhook:
        return
    # Chat services show `text`; programs read the rest.
    text = f"alsolike: {outcome.run} {outcome.state.lower()} {outcome.link}".strip()
    try:
        _post(webhook, {"text": text, **asdict(outcome)})
    # The URL of a webhook is a secret, so no message may contain it.
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
        ValueError, InvalidURL: if the URL is not valid.
        OSError, HTTPException: if the webhook does not accept it.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError
    request = urllib.request.Request(
        url, data=json.dumps(content).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS):
        pass


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as an error, because it would not repeat the POST."""

    def redirect_request(self, *_: object) -> None:
        """Do not follow the redirect."""
