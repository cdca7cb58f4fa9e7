"""How many processor cores this process may use, as a container's limit would have it."""

import math
import os
from pathlib import Path

_CONTROL_GROUP = Path("/sys/fs/cgroup")


def usable_cores(control_group: Path = _CONTROL_GROUP) -> int:
    """Cores that the scheduler offers, or fewer where a quota allows less time; at least 1.

    Args:
        control_group: where the limits of this container stand. A machine of 64 cores offers all
            of them to a container that may use the time of 2.
    """
    offered = len(os.sched_getaffinity(0))
    quota = _quota(control_group)
    return offered if quota is None else max(1, min(offered, math.ceil(quota)))


def _quota(control_group: Path) -> float | None:
    """Cores' worth of time, or None where there is no limit or it is not to be known."""
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):  # v2, v1
        try:
            words = " ".join((control_group / file).read_text() for file in files).split()
            quota, period = map(int, words)
        except (OSError, ValueError):  # not of this version; `max` instead of a number
            continue
        return quota / period if quota > 0 else None
    return None
