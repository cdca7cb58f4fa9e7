"""The release of a Kubeflow Pipelines server, and the oldest releases that work."""

import json
import re
from functools import partial
from typing import NamedTuple

from components.errors import UserError
from pipelines.kubeflow.client import Session


class Release(NamedTuple):
    """The first two numbers of a release."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


OLDEST = Release(2, 16)
"""The first that can delete a schedule without the runs that it started."""
SCHEDULES_HAVE_ACCOUNTS = Release(2, 17)
"""The first whose scheduled runs have the service account of their schedule."""


def read_release(session: Session) -> Release | None:
    """The release of the server; None if it does not tell, such as one that was built by hand."""
    # The client's own answer leaves the tag out.
    health = partial(session.client.healthzs.healthz_service_get_healthz, _preload_content=False)
    answer = session.ask("look at the API's health", health)
    found = re.match(r"v?(\d+)\.(\d+)", json.loads(answer.data).get("tag_name", ""))
    return Release(int(found[1]), int(found[2])) if found else None


def require_accounts_of_schedules(release: Release | None) -> None:
    """Check that a scheduled run would have the account of its schedule.

    Raises:
        UserError: if the server is known to ignore it.
    """
    if release and release < SCHEDULES_HAVE_ACCOUNTS:
        raise UserError(
            f"Kubeflow Pipelines {release} runs schedules without kubeflow.service_account: "
            f"upgrade it to {SCHEDULES_HAVE_ACCOUNTS}, or leave the account out"
        )
