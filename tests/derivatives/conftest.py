"""A small network with every kind of layer, and the same in PyTorch."""

import numpy as np
import pytest

import fcnn
from fcnn import tree

MODEL = fcnn.serial(
    fcnn.conv2d(6, 3, padding="same"),
    fcnn.batch_norm(),
    fcnn.relu,
    fcnn.max_pool2d(3, stride=2),
    fcnn.residual(fcnn.conv2d(6, 3, padding="same"), fcnn.tanh),
    fcnn.multiply(fcnn.conv2d(4, 1), fcnn.serial(fcnn.conv2d(4, 1), fcnn.sigmoid)),
    fcnn.flatten,
    fcnn.dense(5),
)
SHAPE = (9, 9, 2)


def like(values, rng):
    """Normals for each leaf of a tree."""
    return tree.map(lambda leaf: rng.normal(size=np.shape(leaf)), values)


def doubles(model, shape, rng):
    """Params in float64, away from where init puts them; statistics of a plausible size."""
    params = tree.astype(model.init(fcnn.key(0), shape)[0], np.float64)
    return tree.map(
        lambda p: p + 0.3 * rng.normal(size=p.shape),
        params,
        statistic=lambda p: p + 0.3 * rng.random(p.shape),
    )


def weights(params):
    """The leaves that are no statistics."""
    pairs = zip(tree.leaves(params), tree.statistics(params), strict=True)
    return [leaf for leaf, is_statistic in pairs if not is_statistic]


class Net:
    """The model, a batch, and its twin as a function of PyTorch's tensors."""

    def __init__(self, rng):
        self.model = MODEL
        self.params = doubles(MODEL, SHAPE, rng)
        self.x = rng.normal(size=(4, *SHAPE))
        self.labels = rng.integers(0, 5, 4)
        self.loss = fcnn.losses.softmax_cross_entropy

    def torch(self, leaves, x, train=False):
        from torch.nn import functional

        w1, b1, scale, shift, w2, b2, w3, b3, w4, b4, w5, b5 = leaves

        def conv(h, w, b, pad=0):
            return functional.conv2d(h, w.permute(3, 2, 0, 1), b, padding=pad)

        norm = self.params[1]
        h = conv(x.permute(0, 3, 1, 2), w1, b1, 1)
        if train:
            mean, var = h.mean((0, 2, 3)), h.var((0, 2, 3), unbiased=False)
        else:
            mean, var = tensor(norm.mean), tensor(norm.var)
        column = (1, -1, 1, 1)
        h = (h - mean.reshape(column)) / (var.reshape(column) + 1e-5).sqrt()
        h = (h * scale.reshape(column) + shift.reshape(column)).relu()
        h = functional.max_pool2d(h, 3, 2)
        h = h + conv(h, w2, b2, 1).tanh()
        h = conv(h, w3, b3) * conv(h, w4, b4).sigmoid()
        return h.permute(0, 2, 3, 1).reshape(len(x), -1) @ w5 + b5

    def torch_loss(self, leaves, x, labels, train=False):
        from torch.nn import functional

        return functional.cross_entropy(self.torch(leaves, x, train), labels)


def tensor(array):
    import torch

    return torch.tensor(np.array(array))


def tensors(params):
    return tuple(tensor(leaf) for leaf in weights(params))


@pytest.fixture
def net(rng):
    return Net(rng)
