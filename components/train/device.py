"""Choose the devices to compute on: GPUs that this MXNet supports, or the CPU."""

import logging

import mxnet as mx

from components.errors import UserError
from components.train.driver import compute_capability

log = logging.getLogger(__name__)

# mxnet-cu112 1.9.1 carries native code for sm_50 to sm_86 and no PTX to compile for newer ones.
_NEWEST_CAPABILITY = (8, 9)
_SUPPORTED = "Maxwell to Ada: M60, P100, V100, T4, A10, A100, L4 and their like"


def choose_devices(wanted: str) -> tuple[mx.Context, ...]:
    """Choose one device, or several GPUs if several are named.

    Args:
        wanted: auto, cpu, gpu, gpu:N or gpu:N,M.

    Raises:
        UserError: if a GPU is asked for that does not exist or that this MXNet does not support.
    """
    if wanted == "cpu":
        return (mx.cpu(),)
    if wanted == "auto":
        problem = _problem(0)
        device = mx.cpu() if problem else mx.gpu(0)
        log.info("device=auto uses %s%s", device, f": {problem}" if problem else "")
        return (device,)
    numbers = [int(number) for number in wanted.partition(":")[2].split(",") if number] or [0]
    for number in numbers:
        if problem := _problem(number):
            raise UserError(
                f"device={wanted}: {problem}: set device=cpu, or run on a machine with such a GPU"
            )
    return tuple(mx.gpu(number) for number in numbers)


def _problem(number: int) -> str | None:
    """Why this GPU cannot be used, or None if it can."""
    if not mx.runtime.Features().is_enabled("CUDA"):
        return "the installed mxnet is built for CPUs, mxnet-cu112 for GPUs"
    try:
        count = mx.context.num_gpus()
    except mx.MXNetError:
        count = 0
    if number >= count:
        return f"there is no GPU {number}, {count} found"
    try:
        return unsupported(*compute_capability(number))
    except OSError as error:
        return str(error)


def unsupported(major: int, minor: int) -> str | None:
    """Why a GPU of this compute capability cannot be used, or None if it can."""
    if (major, minor) <= _NEWEST_CAPABILITY:
        return None
    return (
        f"the GPU has compute capability {major}.{minor}, MXNet 1.9.1 has code up to "
        f"{'.'.join(map(str, _NEWEST_CAPABILITY))} ({_SUPPORTED})"
    )
