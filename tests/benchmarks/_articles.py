"""The articles' own way, from their formulas: loops, in float64, one example at a time.

000, 001, 002 and 004 call `scipy.signal.correlate2d` for each filter and channel; 003 loops
over pixels; pooling loops over windows. Errors of the articles' code are corrected, so that
the gradients are those of the other contestants. 001 and 003 compute no gradient of the image.

A layer is ``forward(params, x) -> (y, backward)``, ``backward(dy) -> (dparams, dx)``, for
one example (channels, height, width).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _serve import Run, serve
from _work import RATE, Node, Work, channels_first, examples, leaves, parameters
from scipy.signal import convolve2d, correlate2d

Array = np.ndarray
Backward = Callable[[Array], tuple[list[Array], Any]]
Forward = Callable[..., tuple[Array, Backward]]


def conv_by_correlation(
    params: list[Array], x: Array, *, dx_used: bool, stride: int = 1
) -> tuple[Array, Backward]:
    """Y_i = B_i + Σ_j X_j ⋆ K_ij;  dK_ij = X_j ⋆ dY_i;  dX_j = Σ_i dY_i * K_ij, full."""
    if stride != 1:
        raise NotImplementedError(f"expected stride 1, got {stride}: the articles have no other")
    kernels, bias = params
    pairs = [(i, j) for i in range(len(kernels)) for j in range(len(x))]
    size = np.subtract(x.shape[1:], kernels.shape[2:]) + 1
    y = np.zeros((len(kernels), *size)) + (bias if bias.ndim == 3 else bias[:, None, None])
    for i, j in pairs:
        y[i] += correlate2d(x[j], kernels[i, j], "valid")

    def backward(dy: Array) -> tuple[list[Array], Any]:
        dkernels, dx = np.zeros_like(kernels), np.zeros_like(x)
        for i, j in pairs:
            dkernels[i, j] = correlate2d(x[j], dy[i], "valid")
            if dx_used:
                dx[j] += convolve2d(dy[i], kernels[i, j], "full")
        return [dkernels, dy if bias.ndim == 3 else dy.sum(axis=(1, 2))], dx

    return y, backward


def conv_by_pixels(
    params: list[Array], x: Array, *, dx_used: bool, stride: int = 1
) -> tuple[Array, Backward]:
    """Compute all filters at one pixel of the output at a time."""
    kernels, bias = params
    filters, channels, kh, kw = kernels.shape
    oh, ow = (x.shape[1] - kh) // stride + 1, (x.shape[2] - kw) // stride + 1
    y = np.zeros((filters, oh, ow))
    for i in range(oh):
        for j in range(ow):
            patch = x[:, stride * i : stride * i + kh, stride * j : stride * j + kw]
            y[:, i, j] = (kernels * patch).sum(axis=(1, 2, 3)) + bias

    def backward(dy: Array) -> tuple[list[Array], Any]:
        dkernels, dx = np.zeros_like(kernels), np.zeros_like(x)
        for f in range(filters):
            for i in range(kh):
                for j in range(kw):
                    seen = x[:, i : i + stride * oh : stride, j : j + stride * ow : stride]
                    dkernels[f, :, i, j] = (dy[f] * seen).sum(axis=(1, 2))
        for c in range(channels if dx_used else 0):
            for i in range(oh):
                for j in range(ow):
                    part = (dy[:, i, j].reshape(-1, 1, 1) * kernels[:, c]).sum(axis=0)
                    dx[c, stride * i : stride * i + kh, stride * j : stride * j + kw] += part
        return [dkernels, dy.sum(axis=(1, 2))], dx

    return y, backward


def max_pool(x: Array, window: int) -> tuple[Array, Backward]:
    channels, h, w = x.shape[0], x.shape[1] // window, x.shape[2] // window
    places = [(c, i, j) for c in range(channels) for i in range(h) for j in range(w)]
    y = np.zeros((channels, h, w))

    def patch(of: Array, c: int, i: int, j: int) -> Array:
        return of[c, i * window : (i + 1) * window, j * window : (j + 1) * window]

    for c, i, j in places:
        y[c, i, j] = np.max(patch(x, c, i, j))

    def backward(dy: Array) -> tuple[list[Array], Any]:
        dx = np.zeros_like(x)
        for c, i, j in places:
            seen = patch(x, c, i, j)
            patch(dx, c, i, j)[:] = dy[c, i, j] * (seen == np.max(seen))
        return [], dx

    return y, backward


def dense(params: list[Array], x: Array) -> tuple[Array, Backward]:
    weight, bias = params
    y = np.dot(weight, x[:, None]) + bias[:, None]

    def backward(dy: Array) -> tuple[list[Array], Any]:
        column = dy[:, None]
        return [np.dot(column, x[None]), dy], np.dot(weight.T, column)[:, 0]

    return y[:, 0], backward


def relu(x: Array) -> tuple[Array, Backward]:
    return np.maximum(x, 0), lambda dy: ([], dy * (x > 0))


def sigmoid(x: Array) -> tuple[Array, Backward]:
    y = 1 / (1 + np.exp(-x))
    return y, lambda dy: ([], dy * y * (1 - y))


def flatten(x: Array) -> tuple[Array, Backward]:
    return x.reshape(-1), lambda dy: ([], dy.reshape(x.shape))


def dropout(rate: float, rng: np.random.Generator) -> Forward:
    def forward(params: list[Array], x: Array) -> tuple[Array, Backward]:
        mask = rng.binomial(1, 1 - rate, x.shape) / (1 - rate)
        return x * mask, lambda dy: ([], dy * mask)

    return forward


def network(
    work: Work, train: bool, *, by_pixels: bool = False, image_grad: bool = True
) -> list[Forward]:
    """Return the layers; 003 convolves pixel by pixel, 001 and 003 skip the image's gradient."""
    convolve = conv_by_pixels if by_pixels else conv_by_correlation
    made = []
    for i, layer in enumerate(leaves(work.model)):
        conv = functools.partial(convolve, dx_used=image_grad or i > 0)
        made.append(_layer(layer, train, conv))
    return made


def _layer(layer: Node, train: bool, conv: Callable[..., Any]) -> Forward:
    args = layer.arguments
    match layer.name:
        case "conv2d":
            return functools.partial(conv, stride=args["stride"])
        case "dense":
            return dense
        case "max_pool2d":
            return lambda params, x: max_pool(x, args["pool_size"])
        case "dropout" if train:
            return dropout(args["rate"], np.random.default_rng(0))
    plain = {"relu": relu, "sigmoid": sigmoid, "flatten": flatten, "dropout": lambda x: (x, None)}
    return lambda params, x: plain[layer.name](x)


def per_layer(work: Work, arrays: Iterator[Array]) -> list[list[Array]]:
    """Return each layer's own arrays, which it may write into."""
    count = {"conv2d": 2, "dense": 2}
    return [
        [next(arrays).copy() for _ in range(count.get(layer.name, 0))]
        for layer in leaves(work.model)
    ]


def gradients(net: list[Forward], params: list[list[Array]], loss: str, x: Array, t: Any) -> Any:
    """Return the gradients of one example's loss, layer by layer."""
    backwards = []
    for forward, own in zip(net, params, strict=True):
        x, backward = forward(own, x)
        backwards.append(backward)
    if loss == "binary_cross_entropy":
        dy = ((1 - t) / (1 - x) - t / x) / x.size
    else:  # through the Jacobian of the softmax, as 002 has it
        p = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
        dy = (np.diagflat(p) - np.outer(p, p)) @ (-np.eye(p.size)[t] / p)
    grads = []
    for backward in reversed(backwards):
        dparams, dy = backward(dy)
        grads.append(dparams)
    return grads[::-1]


def prepare(work: Work, batch: int, mode: str, **options: bool) -> Run:
    net = network(work, mode == "training", **options)
    params = per_layer(work, channels_first(work, parameters(work)))
    images, target = examples(work, batch)
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))

    def infer(k: int) -> None:
        for _ in range(k):
            for x in images:
                for forward, own in zip(net, params, strict=True):
                    x, _ = forward(own, x)

    def steps(k: int) -> None:
        for _ in range(k):
            for x, t in zip(images, target, strict=True):
                grads = gradients(net, params, work.loss, x, t)
                for own, dparams in zip(params, grads, strict=True):
                    for array, slope in zip(own, dparams, strict=True):
                        array -= RATE * slope

    return infer if mode == "inference" else steps


if __name__ == "__main__":
    serve(prepare)
