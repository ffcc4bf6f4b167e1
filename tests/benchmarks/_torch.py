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


class Joined(nn.Module):
    """What two branches make of the same input, one behind the other along the channels."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.first(x), self.second(x)], dim=1)


class OverChannels(nn.Module):
    """A module of the last axis, applied to the channels."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x.movedim(1, -1)).movedim(-1, 1)


class Scale(nn.Module):
    """A product with one number a channel: a depthwise convolution of a single element."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight.view(1, -1, 1, 1)


class GlobalMean(nn.Module):
    """The mean of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mean(-1)


PLAIN = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "flatten": nn.Flatten,
    "global_avg_pool": GlobalMean,
}
POOLS = {"max_pool2d": nn.MaxPool2d, "avg_pool2d": nn.AvgPool2d}
CONVOLUTIONS = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d, "conv3d": nn.Conv3d}


def model(work: Work, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return the network with the workload's parameters in it."""
    arrays = channels_first(work, parameters(work))
    tensors = (torch.tensor(np.ascontiguousarray(array), dtype=dtype) for array in arrays)
    with torch.no_grad():
        return _module(work.model, tensors).to(dtype)


def _module(node: Node, tensors: Iterator[torch.Tensor]) -> nn.Module:
    args, c = node.arguments, node.in_shape[-1]
    match node.name:
        case "serial":
            return nn.Sequential(*(_module(layer, tensors) for layer in node.layers))
        case "add":
            return Sum(*(_module(layer, tensors) for layer in node.layers))
        case "concat":
            return Joined(*(_module(layer, tensors) for layer in node.layers))
        case "conv1d" | "conv2d" | "conv3d":
            return _conv(CONVOLUTIONS[node.name], tensors, **args)
        case "conv_transpose2d":
            units, size, stride = args["filters"], args["kernel_size"], args["stride"]
            return _filled(nn.ConvTranspose2d(c, units, size, stride), tensors)
        case "depthwise_conv2d":
            size, stride, padding = args["kernel_size"], args["stride"], args["padding"]
            if size == 1 and not args["bias"]:
                return Scale(next(tensors))
            bias, filters = args["bias"], node.out_shape[-1]
            made = nn.Conv2d(c, filters, size, stride, padding, groups=c, bias=bias)
            return _filled(made, tensors)
        case "dense":
            return _over_channels(_filled(nn.Linear(c, args["units"]), tensors), node)
        case "layer_norm":
            return _over_channels(_filled(nn.LayerNorm(c, args["eps"]), tensors), node)
        case "group_norm":
            return _filled(nn.GroupNorm(args["groups"], c, args["eps"]), tensors)
        case "batch_norm":
            made = nn.BatchNorm2d(c, args["eps"], 1 - args["momentum"])
            made.weight.data, made.bias.data = next(tensors), next(tensors)
            made.running_mean, made.running_var = next(tensors), next(tensors)
            return made
        case "max_pool2d" | "avg_pool2d":
            return POOLS[node.name](args["pool_size"])
        case "dropout":
            return nn.Dropout(args["rate"])
        case "gelu":
            return nn.GELU(args["approximate"])
    return PLAIN[node.name]()


def _filled(made: nn.Module, tensors: Iterator[torch.Tensor]) -> nn.Module:
    """Return a module with its weight and its bias, if it has one, set to the next tensors."""
    made.weight.data = next(tensors)
    if made.bias is not None:
        made.bias.data = next(tensors)
    return made


def _over_channels(made: nn.Module, node: Node) -> nn.Module:
    return made if len(node.in_shape) == 1 else OverChannels(made)


def _conv(
    constructor: Any,
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
    made = constructor(weight.shape[1], filters, kernel_size, stride, padding, bias=tied)
    made.weight.data = weight
    if tied:
        made.bias.data = next(tensors)
    return UntiedConv(made, next(tensors)) if bias == "untied" else made


def batch_of(
    work: Work, batch: int, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images (n, channels, height, width) and targets as PyTorch takes them."""
    images, target = examples(work, batch)
    images = np.ascontiguousarray(np.moveaxis(images, -1, 1))
    if target.ndim > 2:
        target = np.ascontiguousarray(np.moveaxis(target, -1, 1))
    of_target = torch.int64 if target.ndim == 1 else dtype
    return torch.tensor(images, dtype=dtype), torch.tensor(target, dtype=of_target)


LOSSES = {
    "softmax_cross_entropy": functional.cross_entropy,
    "binary_cross_entropy": functional.binary_cross_entropy,
    "mean_squared_error": functional.mse_loss,
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
    if form.endswith("channels_last"):
        net, images = _channels_last(net), _channels_last(images)
        target = _channels_last(target)
    net.train(mode != "inference")
    loss, optimizer = LOSSES[work.loss], torch.optim.SGD(net.parameters(), RATE, fused=True)
    if form.startswith("compiled"):
        torch._dynamo.reset()  # without it the limit of recompilations is reached
    if form in ("compiled model", "compiled channels_last"):
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

    inputs = [images, *net.parameters()]

    def adjoints(k: int) -> None:
        images.requires_grad_()
        for _ in range(k):
            torch.autograd.grad(net(images), inputs, target)

    return {"inference": infer, "training": steps, "layer": adjoints}[mode]


LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def _channels_last(of: Any) -> Any:
    """Return a module or a tensor with images in that order; a sequence has no such order."""
    if isinstance(of, nn.Module):
        orders = {LAST[p.ndim] for p in of.parameters() if p.ndim in LAST}
        for order in orders:
            of = of.to(memory_format=order)
        return of
    return of.to(memory_format=LAST[of.ndim]) if of.ndim in LAST else of


if __name__ == "__main__":
    serve(prepare)
