"""The rollout: start a stored version beside the old one, test it, then switch to it."""

import logging

from components.artifacts.bundles import BundleStore
from components.deploy.settings import DeploySettings
from components.deploy.smoke import smoke_test
from components.deploy.targets import open_target
from components.deploy.targets.target import Release, Target
from components.errors import UserError

log = logging.getLogger(__name__)


def roll_out(settings: DeploySettings, store: BundleStore, release: Release) -> None:
    """Roll out a stored version and, unless it is a canary, make it the current one.

    If anything fails, the version that served before serves on.

    Args:
        settings: of the deployment step.
        store: the store of the version.
        release: the version.

    Raises:
        UserError: if the target refuses it, it is not ready in time, or the smoke test fails.
    """
    target = open_target(settings)
    for change in target.plan(release):
        log.info("plan: %s", change)
    try:
        target.apply(release)
        own_address = target.wait(release)
        address = settings.probe_address or own_address
        smoke_test(settings, address, release.version, release.bundle)
        target.promote(release)
        if settings.canary_percent == 100:
            store.make_current(release.version)
    except BaseException as error:
        log.error("version %s is rolled back: %s", release.version, error or type(error).__name__)
        _roll_back(target, release)
        raise
    log.info("version %s serves", release.version)


def _roll_back(target: Target, release: Release) -> None:
    """Undo the rollout, without hiding its error."""
    try:
        target.rollback(release)
    except UserError as error:
        log.error("the rollback was not finished, the new version may be left behind: %s", error)
