"""How many processor cores this process may use, within the limit of its container."""

import math
import os
from pathlib import Path

_CONTROL_GROUP = Path("/sys/fs/cgroup")


def usable_cores(control_group: Path = _CONTROL_GROUP) -> int:
    """The cores that the scheduler offers, or fewer if a quota allows less time; at least 1.

    A machine of 64 cores offers all of them to a container that may use the time of 2.

    Args:
        control_group: the folder with the limits of this container.
    """
    offered = len(os.sched_getaffinity(0))
    quota = _quota(control_group)
    return offered if quota is None else max(1, min(offered, math.ceil(quota)))


def _quota(control_group: Path) -> float | None:
    """The quota in cores, or None if there is no limit or it cannot be read."""
    # Version 2 of control groups, then version 1.
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            words = " ".join((control_group / file).read_text() for file in files).split()
            quota, period = map(int, words)
        except (OSError, ValueError):  # another version; `max` in place of a number
            continue
        return quota / period if quota > 0 else None
    return None
