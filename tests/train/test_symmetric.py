"""Packed symmetric matrices come back as they were, and add up as they do unpacked."""

import mxnet as mx
import numpy as np
from mxnet import nd

from components.train.symmetric import Packing


def test_packing_and_unpacking_are_inverse() -> None:
    packing = Packing(5, mx.cpu())
    matrices = np.random.default_rng(0).normal(size=(7, 5, 5))
    matrices += matrices.transpose(0, 2, 1)
    packed = packing.pack(nd.array(matrices))
    assert packed.shape == (7, packing.width)
    np.testing.assert_allclose(packing.unpack(packed).asnumpy(), matrices, rtol=1e-6)


def test_outer_products_are_packed() -> None:
    packing = Packing(4, mx.cpu())
    vectors = np.random.default_rng(0).normal(size=(3, 4))
    unpacked = packing.unpack(packing.outer(nd.array(vectors))).asnumpy()
    np.testing.assert_allclose(unpacked, vectors[:, :, None] * vectors[:, None, :], rtol=1e-5)
