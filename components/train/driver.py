"""Facts about the GPUs that are visible to this process, from NVIDIA's driver.

GPUs have the numbers that MXNet gives them, which `CUDA_VISIBLE_DEVICES` selects and orders.
"""

import ctypes

# CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h.
_MAJOR, _MINOR = 75, 76
# Enough for "0000:3b:00.0" with a longer domain.
_ADDRESS_BYTES = 32


def compute_capability(number: int) -> tuple[int, int]:
    """The compute capability of a GPU, such as (8, 6).

    Raises:
        OSError: if there is no driver, or it returns an error.
    """
    return _attribute(_MAJOR, number), _attribute(_MINOR, number)


def bus_address(number: int) -> str:
    """The PCI bus address of a GPU, which is the same in every numbering of the GPUs.

    Raises:
        OSError: if there is no driver, or it returns an error.
    """
    address = ctypes.create_string_buffer(_ADDRESS_BYTES)
    _call("cuDeviceGetPCIBusId", address, _ADDRESS_BYTES, number)
    return address.value.decode()


def _attribute(attribute: int, number: int) -> int:
    value = ctypes.c_int()
    _call("cuDeviceGetAttribute", ctypes.byref(value), attribute, number)
    return value.value


def _call(function: str, *arguments: object) -> None:
    driver = ctypes.CDLL("libcuda.so.1")
    driver.cuInit(0)
    if status := driver[function](*arguments):
        raise OSError(f"NVIDIA's driver answers {function} with error {status}")
