"""Where training runs, and what it says where it cannot."""

import logging

import mxnet as mx
import pytest

from components.errors import UserError
from components.train.device import choose_devices, unsupported
from tests.train.gpus import Driver, Gpu, install


def test_auto_takes_the_cpu_where_this_mxnet_has_no_gpu(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert choose_devices("auto") == (mx.cpu(),)
    assert "device=auto uses cpu(0): the installed mxnet is built for CPUs" in caplog.text


@pytest.mark.parametrize("wanted", ["gpu", "gpu:1", "gpu:0,1"])
def test_a_gpu_that_is_not_there_is_an_error_with_a_remedy(wanted: str) -> None:
    with pytest.raises(UserError, match=rf"device={wanted}: .*: set device=cpu, or run on"):
        choose_devices(wanted)


@pytest.mark.parametrize("capability", [(5, 0), (7, 5), (8, 6), (8, 9)])
def test_gpus_up_to_ada_are_supported(capability: tuple[int, int]) -> None:
    assert unsupported(*capability) is None


@pytest.mark.parametrize("capability", [(9, 0), (10, 0)])
def test_newer_gpus_are_refused_with_the_ones_that_work(capability: tuple[int, int]) -> None:
    reason = unsupported(*capability)
    assert reason is not None
    assert f"{capability[0]}.{capability[1]}" in reason
    assert "T4" in reason


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[Gpu]:
    """What CUDA shows to an MXNet that is built for GPUs; a test puts them in."""
    shown: list[Gpu] = []
    monkeypatch.setattr(mx.runtime.Features, "is_enabled", lambda _, name: name == "CUDA")
    monkeypatch.setattr(mx.context, "num_gpus", lambda: len(shown))
    install(monkeypatch, Driver(shown))
    return shown


def test_auto_takes_the_first_gpu(gpus: list[Gpu], caplog: pytest.LogCaptureFixture) -> None:
    gpus += [Gpu(), Gpu()]
    with caplog.at_level(logging.INFO):
        assert choose_devices("auto") == (mx.gpu(0),)
    assert caplog.messages == ["device=auto uses gpu(0)"]


def test_auto_passes_by_a_gpu_that_mxnet_has_no_code_for(
    gpus: list[Gpu], caplog: pytest.LogCaptureFixture
) -> None:
    gpus += [Gpu(capability=(9, 0))]
    with caplog.at_level(logging.INFO):
        assert choose_devices("auto") == (mx.cpu(),)
    assert "uses cpu(0): the GPU has compute capability 9.0" in caplog.text


def test_gpus_are_taken_by_their_numbers(gpus: list[Gpu]) -> None:
    gpus += [Gpu(), Gpu(), Gpu()]
    assert choose_devices("gpu") == (mx.gpu(0),)
    assert choose_devices("gpu:2") == (mx.gpu(2),)
    assert choose_devices("gpu:0,2") == (mx.gpu(0), mx.gpu(2))


def test_every_gpu_that_is_asked_for_is_looked_at(gpus: list[Gpu]) -> None:
    gpus += [Gpu(), Gpu(capability=(9, 0))]
    with pytest.raises(UserError, match=r"device=gpu:0,1: the GPU has compute capability 9\.0"):
        choose_devices("gpu:0,1")
    with pytest.raises(UserError, match="device=gpu:0,2: there is no GPU 2, 2 found"):
        choose_devices("gpu:0,2")


@pytest.mark.usefixtures("gpus")
def test_no_gpu_is_found_where_cuda_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise mx.MXNetError("CUDA: no CUDA-capable device is detected")

    monkeypatch.setattr(mx.context, "num_gpus", fail)
    assert choose_devices("auto") == (mx.cpu(),)
    with pytest.raises(UserError, match="device=gpu: there is no GPU 0, 0 found"):
        choose_devices("gpu")


def test_a_driver_that_does_not_tell_is_an_error_in_one_line(
    gpus: list[Gpu], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus += [Gpu()]
    install(monkeypatch, Driver(gpus, status=101))
    with pytest.raises(UserError, match="device=gpu: NVIDIA's driver answers cuDeviceGetAttribute"):
        choose_devices("gpu")
