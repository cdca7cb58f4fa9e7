"""A signed-in client of Kubeflow Pipelines, whose errors tell the user what to do."""

import json
import logging
import os
import re
import tempfile
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import urllib3
from kfp.client import Client, set_volume_credentials
from kfp_server_api import ApiException

from components.errors import UserError
from components.polling import poll
from components.processes import child_process
from pipelines.definition.environment import Access, Kubeflow
from pipelines.definition.kfp_internals import connection_pool, set_namespace

TOKEN_VARIABLE = "ALSOLIKE_KFP_TOKEN"
COOKIE_VARIABLE = "ALSOLIKE_KFP_COOKIE"

_REQUEST_SECONDS = 60
_RETRY_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
_FORWARD_SECONDS = 30
_POLL_SECONDS = 0.05
_UPLOAD_FAILED = "Failed to create a pipeline"

T = TypeVar("T")

logger = logging.getLogger(__name__)


class CredentialsError(UserError):
    """Kubeflow Pipelines does not accept the credentials."""


@dataclass(frozen=True)
class Session:
    """A signed-in client and its endpoint."""

    client: Client
    settings: Kubeflow
    endpoint: str

    def run_url(self, run_id: str) -> str:
        """The URL of a run's page in the UI."""
        return f"{self.settings.ui or self.endpoint}/#/runs/details/{run_id}"

    def ask(self, what: str, request: Callable[[], T]) -> T:
        """Send a request, and repeat it if there is no answer.

        Args:
            what: the request in words that follow "cannot", for the error.
            request: calls the client once.

        Raises:
            UserError: if the request is refused, or there is no answer after some tries.
        """
        return self.create(what, request, find=lambda: None)

    def create(self, what: str, make: Callable[[], T], find: Callable[[], T | None]) -> T:
        """Create something exactly once, even if an answer is lost.

        Args:
            what: the request in words that follow "cannot", for the error.
            make: calls the client once.
            find: returns what an earlier call has created whose answer was lost, or None.

        Raises:
            UserError: if the request is refused, or there is no answer after some tries.
        """
        for pause in (*_RETRY_PAUSES, None):
            try:
                with redirect_stdout(StringIO()):  # the client prints links of its own
                    return make()
            except (ApiException, urllib3.exceptions.HTTPError) as error:
                may_exist = _is_transient(error) or getattr(error, "status", None) == 409
                if may_exist and (found := find()) is not None:
                    return found
                if pause is None or not _is_transient(error):
                    raise self._refusal(what, error) from error
                logger.info("no answer, trying again: %s", what)
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _refusal(self, what: str, error: Exception) -> UserError:
        if not isinstance(error, ApiException) or not error.status:
            # The message of urllib3 is long; its `reason` is the error itself.
            cause = getattr(error, "reason", None) or error
            return UserError(
                f"cannot {what}: {self.endpoint} does not answer ({_first_line(cause)}): "
                "check the endpoint and the network"
            )
        said = _server_message(error)
        if error.status == 401 or 300 <= error.status < 400:
            return CredentialsError(
                f"cannot {what}: {self.endpoint} does not accept the credentials "
                f"(access {self.settings.access}): sign in again; a token's audience must be "
                "pipelines.kubeflow.org"
            )
        if error.status == 403:
            return UserError(
                f"cannot {what}: not allowed in namespace {self.settings.namespace} ({said}): "
                "bind the role alsolike-submit of pipelines/manifests to your account"
            )
        # Kubeflow gives the same answer to a forbidden upload as to a damaged one.
        hint = ": check that your account has the role alsolike-submit of pipelines/manifests"
        return UserError(
            f"cannot {what}: {self.endpoint} answers {error.status} ({said})"
            f"{hint if said.startswith(_UPLOAD_FAILED) else ''}"
        )


@contextmanager
def connect(settings: Kubeflow) -> Iterator[Session]:
    """Sign in to Kubeflow Pipelines.

    Raises:
        UserError: if the token or the cookie is missing, or the API cannot be reached.
    """
    forward = settings.access is Access.PORT_FORWARD and settings.endpoint is None
    with _port_forward(settings) if forward else nullcontext(_endpoint(settings)) as endpoint:
        credentials = _credentials(settings.access)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # about servers older than 2.0
            client = Client(
                host=endpoint,
                # With the namespace "kubeflow" it would look for one by slow requests.
                namespace=settings.profile or "none",
                ssl_ca_cert=str(settings.ca_certificate) if settings.ca_certificate else None,
                **credentials,
            )
        set_namespace(client, settings.profile or "")
        _guard(client)
        yield Session(client, settings, endpoint)


def _endpoint(settings: Kubeflow) -> str:
    if settings.endpoint:
        return settings.endpoint
    return f"http://ml-pipeline.{settings.system_namespace}.svc.cluster.local:8888"


def _credentials(access: Access) -> dict[str, Any]:
    if access is Access.SERVICE_ACCOUNT:
        return {"credentials": set_volume_credentials.ServiceAccountTokenVolumeCredentials()}
    if access is Access.TOKEN:
        return {"existing_token": _secret(TOKEN_VARIABLE, access)}
    if access is Access.COOKIE:
        return {"cookies": _secret(COOKIE_VARIABLE, access)}
    token = os.environ.get(TOKEN_VARIABLE) if access is Access.PORT_FORWARD else None
    return {"existing_token": token}


def _secret(variable: str, access: Access) -> str:
    value = os.environ.get(variable)
    if not value:
        raise UserError(f"access is {access}, but {variable} is not set: put the {access} there")
    return value


@contextmanager
def _port_forward(settings: Kubeflow) -> Iterator[str]:
    """Forward a port to the API by kubectl while the block lasts, and yield the URL."""
    command = ["kubectl", f"--namespace={settings.system_namespace}", "port-forward"]
    command += ["--address=127.0.0.1", "service/ml-pipeline", ":8888"]
    with tempfile.NamedTemporaryFile(prefix="alsolike-port-forward-") as log:
        try:
            process = child_process(command, output=log, environment=os.environ)
            with process as child:
                yield f"http://127.0.0.1:{_forwarded_port(Path(log.name), child.poll)}"
        except FileNotFoundError:
            raise UserError(
                "access is port-forward, but there is no kubectl: install it, or set the endpoint"
            ) from None


def _forwarded_port(log: Path, exit_status: Callable[[], int | None]) -> int:
    def explain() -> str:
        said = " ".join(log.read_text().split()) or "no answer"
        return f"cannot forward a port to Kubeflow Pipelines: kubectl says: {said}"

    def look() -> int | None:
        if found := re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", log.read_text()):
            return int(found[1])
        if exit_status() is not None:
            raise UserError(explain())
        return None

    return poll(look, explain, _FORWARD_SECONDS, pause=_POLL_SECONDS)


def _guard(client: Client) -> None:
    """Limit the wait for an answer, and treat a login page as an error.

    The generated client waits without limit, follows redirects to a login page, and reads the page
    as an empty list.
    """
    pool = connection_pool(client)
    send = pool.request

    def request(method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
        options["timeout"] = options.get("timeout") or _REQUEST_SECONDS
        answer: urllib3.BaseHTTPResponse = send(method, url, redirect=False, **options)
        kind = answer.headers.get("Content-Type", "")
        if 200 <= answer.status < 300 and not kind.startswith("application/json"):
            page = ApiException(status=401, reason=f"a page ({kind}) in place of an answer")
            page.body = b""  # the client decodes it
            raise page
        return answer

    pool.request = request


def _is_transient(error: Exception) -> bool:
    status = getattr(error, "status", None)
    return not status or status == 429 or status >= 500


def _server_message(error: ApiException) -> str:
    """The message in the server's answer, whose field depends on the service that wrote it."""
    try:
        body = json.loads(error.body or "")
    except ValueError:
        return _first_line(error.body or error.reason or "no reason given")
    for field in ("message", "error_message", "error_details", "error"):
        if isinstance(body, dict) and body.get(field):
            return _first_line(body[field])
    return _first_line(error.reason)


def _first_line(text: object) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return textwrap.shorten(words.strip().partition("\n")[0], 300, placeholder=" …")
