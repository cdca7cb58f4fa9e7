"""The smoke test of a new version: it must answer correctly, fast and without errors."""

import json
import logging
import time
from itertools import cycle, islice
from pathlib import Path

from components.deploy.golden import GOLDEN, Golden, check_golden
from components.deploy.http import Ask, client
from components.deploy.settings import DeploySettings
from components.errors import UserError

log = logging.getLogger(__name__)


def smoke_test(settings: DeploySettings, address: str, version: str, bundle: Path) -> None:
    """Send the golden requests of a bundle, then measure error rate and latency.

    Args:
        settings: the bounds.
        address: a URL that only the new version answers.
        version: the version that must answer there.
        bundle: the folder of the bundle, for its golden requests.

    Raises:
        UserError: if another version answers, an answer is wrong, or a bound is exceeded.
    """
    ask = client(address)
    golden: list[Golden] = json.loads((bundle / GOLDEN).read_text())
    try:
        _check_version(ask, address, version)
        check_golden(golden, ask)
    except OSError as error:
        raise UserError(
            f"version {version} does not answer at {address}: {error}: set probe_address if it "
            f"has another address from here"
        ) from None
    log.info("version %s answered %d golden requests correctly", version, len(golden))
    error_rate, latency_ms = _measure(ask, golden, settings.smoke_requests)
    log.info(
        "of %d requests %.1f %% failed, 95 in 100 took at most %.1f ms",
        *(settings.smoke_requests, 100 * error_rate, latency_ms),
    )
    if error_rate > settings.max_error_rate:
        raise UserError(
            f"version {version} failed {error_rate:.1%} of its requests, more than "
            f"max_error_rate={settings.max_error_rate:g}"
        )
    if latency_ms > settings.max_latency_ms:
        raise UserError(
            f"version {version} takes up to {latency_ms:.0f} ms for 95 in 100 requests, more than "
            f"max_latency_ms={settings.max_latency_ms:g}"
        )


def _check_version(ask: Ask, address: str, version: str) -> None:
    metadata = ask("/v2/models/recommender", None)
    served = metadata.get("versions", []) if isinstance(metadata, dict) else []
    if version not in served:
        raise UserError(f"{address} serves version {', '.join(served)}, not {version}")


def _measure(ask: Ask, golden: list[Golden], count: int) -> tuple[float, float]:
    """The share of requests that fail, and the 95th percentile of the latency in milliseconds."""
    failures = 0
    seconds = []
    for request in islice(cycle(golden), count):
        start = time.perf_counter()
        try:
            ask(request["path"], request["body"])
        except OSError:
            failures += 1
        seconds.append(time.perf_counter() - start)
    return failures / count, 1000 * sorted(seconds)[round(0.95 * (count - 1))]
