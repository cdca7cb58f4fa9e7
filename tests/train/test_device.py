"""Where training runs, and what it says where it cannot."""

import logging

import mxnet as mx
import pytest

from components.errors import UserError
from components.train.device import choose_devices, unsupported


def test_auto_takes_the_cpu_where_this_mxnet_has_no_gpu(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert choose_devices("auto") == (mx.cpu(),)
    assert "device=auto took cpu(0): this MXNet is built for CPUs" in caplog.text


@pytest.mark.parametrize("wanted", ["gpu", "gpu:1", "gpu:0,1"])
def test_a_gpu_that_is_not_there_is_an_error_with_a_remedy(wanted: str) -> None:
    with pytest.raises(UserError, match=rf"device={wanted}: .*; set device=cpu or run where"):
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
