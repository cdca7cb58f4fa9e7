"""What NVIDIA's driver tells of the GPUs that CUDA shows this process.

They are counted as MXNet counts them: `CUDA_VISIBLE_DEVICES` leaves some out and orders the rest.
"""

import ctypes

# CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h.
_MAJOR, _MINOR = 75, 76
# "0000:3b:00.0", and room for a longer domain.
_ADDRESS_BYTES = 32


def compute_capability(number: int) -> tuple[int, int]:
    """The compute capability of a GPU, such as (8, 6).

    Raises:
        OSError: if the driver is not there or does not tell.
    """
    return _attribute(_MAJOR, number), _attribute(_MINOR, number)


def bus_address(number: int) -> str:
    """Where a GPU is on the PCI bus, its one name that does not depend on who counts.

    Raises:
        OSError: if the driver is not there or does not tell.
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
