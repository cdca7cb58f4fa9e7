"""The GPU image where there is no GPU: all but the driver is in it, and it says what is missing."""

import subprocess
from pathlib import Path

import docker
import pytest

from pipelines.images.building import NAMES
from tests.images.containers import readable, run
from tests.train.worlds import write_splits

pytestmark = [pytest.mark.docker, pytest.mark.slow]

IMAGE = NAMES["train-gpu"]
PACKAGES = "/opt/alsolike/lib/python3.11/site-packages"
# What MXNet calls in the driver itself; each answers CUDA_ERROR_NO_DEVICE.
CALLED = (
    *("cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuGetErrorString", "cuGraphKernelNodeGetParams"),
    *("cuGraphNodeGetType", "cuLaunchKernel", "cuModuleGetFunction", "cuModuleLoadData"),
    *("cuModuleLoadDataEx", "cuModuleUnload"),
)
# A driver with one GPU, in the signatures of cuda.h.
DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { return flags; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 6 : -1;
    return device ? 101 : 0;
}
int cuDeviceGetPCIBusId(char *address, int size, int device) {
    strncpy(address, "0000:3b:00.0", size);
    return device ? 101 : 0;
}
"""
STUBBED = {"LD_LIBRARY_PATH": "/opt/alsolike/lib:/stub"}


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stand-in for the driver's library."""
    source = "".join(f"int {name}(void) {{ return 100; }}\n" for name in CALLED)
    return compiled(source, tmp_path_factory.mktemp("stub"))


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return readable(write_splits(tmp_path_factory.mktemp("gpu") / "splits"))


def compiled(source: str, folder: Path) -> Path:
    options = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(folder / "libcuda.so.1")]
    subprocess.run(["cc", *options, "-x", "c", "-"], input=source, text=True, check=True)
    return readable(folder)


def train(
    engine: docker.DockerClient, splits: Path, device: str, stub: Path | None = None
) -> tuple[int, list[str]]:
    options = ["--splits=/splits", "--output=/tmp/model", f"--device={device}"]
    quick = ["--ranking-model=ridge", "--ranking-dimensions=8", "--epochs=2"]
    mounts = {"/splits": str(splits)} | ({"/stub": str(stub)} if stub else {})
    command = ["python", "-m", "components.train", *options, *quick]
    status, printed = run(engine, IMAGE, command, STUBBED if stub else {}, mounts)
    return status, printed.splitlines()


def test_only_the_driver_is_missing(engine: docker.DockerClient) -> None:
    listing = f"ldd {PACKAGES}/mxnet/libmxnet.so /opt/alsolike/lib/*.so* 2>/dev/null"
    status, printed = run(engine, IMAGE, ["sh", "-c", listing])
    assert status == 0
    lines = printed.splitlines()
    assert {line.split()[0] for line in lines if "not found" in line} == {"libcuda.so.1"}
    cuda = {line.split()[0] for line in lines if "=> /opt/alsolike/lib/" in line}
    assert {"libcudnn.so.8", "libcublas.so.11", "libcudart.so.11.0", "libnccl.so.2"} <= cuda


def test_mxnet_starts_with_a_stub_of_the_driver(engine: docker.DockerClient, stub: Path) -> None:
    program = """
import mxnet
print(mxnet.__version__, mxnet.runtime.Features().is_enabled("CUDA"))
print(mxnet.nd.dot(mxnet.nd.ones((2, 3)), mxnet.nd.ones((3, 2))).sum().asscalar())
"""
    command = ["python", "-W", "ignore", "-c", program]
    status, printed = run(engine, IMAGE, command, STUBBED, {"/stub": str(stub)})
    assert (status, printed) == (0, "1.9.1 True\n12.0\n")


@pytest.mark.parametrize("device", ["gpu", "auto", "cpu"])
def test_a_machine_without_the_driver_is_told_in_one_line(
    engine: docker.DockerClient, splits: Path, device: str
) -> None:
    assert train(engine, splits, device) == (
        1,
        [
            "error: train: MXNet does not start (libcuda.so.1: cannot open shared object file: "
            "No such file or directory): this is its build for GPUs, which needs NVIDIA's driver; "
            "run it on a machine that has the driver, or in the image train-cpu"
        ],
    )


def test_a_machine_without_a_gpu_is_told_in_one_line(
    engine: docker.DockerClient, splits: Path, stub: Path
) -> None:
    status, lines = train(engine, splits, "gpu", stub)
    assert status == 1
    assert lines[-1] == (
        "error: train: device=gpu: there is no GPU 0, 0 found: "
        "set device=cpu, or run on a machine with such a GPU"
    )
    assert not [line for line in lines if "Traceback" in line]


def test_device_auto_trains_without_a_gpu(
    engine: docker.DockerClient, splits: Path, stub: Path
) -> None:
    status, lines = train(engine, splits, "auto", stub)
    assert status == 0, lines
    assert any("device=auto uses cpu(0): there is no GPU 0" in line for line in lines)


def test_the_driver_is_called_as_its_header_says(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    program = """
from components.train.driver import bus_address, compute_capability
print(compute_capability(0), bus_address(0))
try:
    compute_capability(1)
except OSError as error:
    print(error)
"""
    mounts = {"/stub": str(compiled(DRIVER, tmp_path))}
    status, printed = run(engine, IMAGE, ["python", "-c", program], STUBBED, mounts)
    assert (status, printed.splitlines()) == (
        0,
        ["(8, 6) 0000:3b:00.0", "NVIDIA's driver answers cuDeviceGetAttribute with error 101"],
    )
