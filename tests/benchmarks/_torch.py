"""PyTorch as a contestant: eager, channels_last, the model or the whole step compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from _serve import Run, serve
from _work import RATE, Node, Work, channels_first, examples, parameters
from torch import nn
from torch.nn import functional


class UntiedConv(nn.Module):
    """A convolution with a bias for each pixel, which PyTorch does not have."""

    def __init__(self, conv: nn.Conv2d, bias: torch.Tensor) -> None:
        super().__init__()
        self.conv, self.bias = conv, nn.Parameter(bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + self.bias


class Sum(nn.Module):
    """The sum of what two branches make of the same input."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(x) + self.second(x)


PLAIN = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "flatten": nn.Flatten}
POOLS = {"max_pool2d": nn.MaxPool2d, "avg_pool2d": nn.AvgPool2d}


def model(work: Work, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return the network with the workload's parameters in it."""
    arrays = channels_first(work, parameters(work))
    tensors = (torch.tensor(np.ascontiguousarray(array), dtype=dtype) for array in arrays)
    with torch.no_grad():
        return _module(work.model, tensors).to(dtype)


def _module(node: Node, tensors: Iterator[torch.Tensor]) -> nn.Module:
    args = node.arguments
    match node.name:
        case "serial":
            return nn.Sequential(*(_module(layer, tensors) for layer in node.layers))
        case "add":
            return Sum(*(_module(layer, tensors) for layer in node.layers))
        case "conv2d":
            return _conv(tensors, **args)
        case "dense":
            made = nn.Linear(node.in_shape[0], args["units"])
            made.weight.data, made.bias.data = next(tensors), next(tensors)
            return made
        case "batch_norm":
            made = nn.BatchNorm2d(node.in_shape[-1], args["eps"], 1 - args["momentum"])
            made.weight.data, made.bias.data = next(tensors), next(tensors)
            made.running_mean, made.running_var = next(tensors), next(tensors)
            return made
        case "max_pool2d" | "avg_pool2d":
            return POOLS[node.name](args["pool_size"])
        case "dropout":
            return nn.Dropout(args["rate"])
    return PLAIN[node.name]()


def _conv(
    tensors: Iterator[torch.Tensor],
    *,
    filters: int,
    kernel_size: int,
    stride: int,
    padding: int | str,
    bias: str | None,
    **_: Any,
) -> nn.Module:
    weight, tied = next(tensors), bias == "tied"
    made = nn.Conv2d(weight.shape[1], filters, kernel_size, stride, padding, bias=tied)
    made.weight.data = weight
    if tied:
        made.bias.data = next(tensors)
    return UntiedConv(made, next(tensors)) if bias == "untied" else made


def batch_of(
    work: Work, batch: int, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images (n, channels, height, width) and targets as PyTorch takes them."""
    images, target = examples(work, batch)
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    of_target = dtype if target.ndim == 2 else torch.int64
    return torch.tensor(images, dtype=dtype), torch.tensor(target, dtype=of_target)


LOSSES = {
    "softmax_cross_entropy": functional.cross_entropy,
    "binary_cross_entropy": functional.binary_cross_entropy,
}


def compiled_step(
    net: nn.Module, loss: Callable[..., torch.Tensor], images: torch.Tensor, target: torch.Tensor
) -> Callable[[], None]:
    """Return a step whose forward pass, backward pass and SGD are compiled as one function."""
    torch._dynamo.config.trace_autograd_ops = True
    params = list(net.parameters())

    def step(images: torch.Tensor, target: torch.Tensor) -> None:
        grads = torch.autograd.grad(loss(net(images), target), params)
        with torch.no_grad():
            for param, slope in zip(params, grads, strict=True):
                param.sub_(RATE * slope)

    compiled = torch.compile(step, fullgraph=True)
    return lambda: compiled(images, target)


def prepare(work: Work, batch: int, mode: str, form: str, threads: int) -> Run:
    """Return a step in one form: eager, channels_last, compiled model, compiled step."""
    torch.set_num_threads(threads)  # one process has one number of threads throughout
    net, (images, target) = model(work), batch_of(work, batch)
    if form == "channels_last":
        net = net.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    net.train(mode == "training")
    loss, optimizer = LOSSES[work.loss], torch.optim.SGD(net.parameters(), RATE, fused=True)
    if form.startswith("compiled"):
        torch._dynamo.reset()  # without it the limit of recompilations is reached
    if form == "compiled model":
        net = torch.compile(net, fullgraph=True)

    @torch.inference_mode()
    def infer(k: int) -> None:
        for _ in range(k):
            net(images)

    def eager_step() -> None:
        optimizer.zero_grad()
        loss(net(images), target).backward()
        optimizer.step()

    step = compiled_step(net, loss, images, target) if form == "compiled step" else eager_step

    def steps(k: int) -> None:
        for _ in range(k):
            step()

    return infer if mode == "inference" else steps


if __name__ == "__main__":
    serve(prepare)
