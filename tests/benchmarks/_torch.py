"""PyTorch as a contestant: eager, channels_last, or through torch.compile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from _networks import RATE, Layers, Workload, channels_first, examples, find, parameters
from _serve import Run, serve
from torch import nn
from torch.nn import functional


class UntiedConv(nn.Module):
    """A convolution with a bias for each pixel, which PyTorch has not."""

    def __init__(self, conv: nn.Conv2d, bias: torch.Tensor) -> None:
        super().__init__()
        self.conv, self.bias = conv, nn.Parameter(bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + self.bias


class Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.body(x)


def model(workload: Workload, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The network with the workload's parameters in it."""
    arrays = channels_first(workload, parameters(workload))
    tensors = (torch.tensor(np.ascontiguousarray(array), dtype=dtype) for array in arrays)
    with torch.no_grad():
        return _sequence(workload.layers, tensors).to(dtype)


def _sequence(layers: Layers, tensors: Iterator[torch.Tensor]) -> nn.Module:
    return nn.Sequential(*(_module(tensors, *layer) for layer in layers))


def _module(tensors: Iterator[torch.Tensor], kind: str, *settings: Any) -> nn.Module:
    match kind, settings:
        case "conv", (filters, kernel, stride, padding, bias):
            weight = next(tensors)
            tied = bias == "tied"
            made = nn.Conv2d(weight.shape[1], filters, kernel, stride, padding, bias=tied)
            made.weight.data = weight
            if tied:
                made.bias.data = next(tensors)
            return UntiedConv(made, next(tensors)) if bias == "untied" else made
        case "dense", (units,):
            weight = next(tensors)
            made = nn.Linear(weight.shape[1], units)
            made.weight.data, made.bias.data = weight, next(tensors)
            return made
        case "batch_norm", ():
            fields = [next(tensors) for _ in range(4)]
            made = nn.BatchNorm2d(len(fields[0]))
            made.weight.data, made.bias.data, made.running_mean, made.running_var = fields
            return made
        case "residual", (body, shortcut):
            outside = _sequence(shortcut, tensors) if shortcut else nn.Identity()
            return Residual(_sequence(body, tensors), outside)
        case "max_pool", (window,):
            return nn.MaxPool2d(window)
        case "avg_pool", (window,):
            return nn.AvgPool2d(window)
        case "dropout", (rate,):
            return nn.Dropout(rate)
    return {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "flatten": nn.Flatten}[kind]()


def batch_of(
    workload: Workload, batch: int, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    images, target = examples(workload, batch)
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    of_target = dtype if target.ndim == 2 else torch.int64
    return torch.tensor(images, dtype=dtype), torch.tensor(target, dtype=of_target)


LOSSES = {
    "softmax_cross_entropy": functional.cross_entropy,
    "binary_cross_entropy": functional.binary_cross_entropy,
}


def prepare(workload: str, batch: int, mode: str, form: str, threads: int) -> Run:
    torch.set_num_threads(threads)  # one process has one number of threads throughout
    work = find(workload)
    net, (images, target) = model(work), batch_of(work, batch)
    if form == "channels_last":
        net = net.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    net.train(mode == "training")
    loss, optimizer = LOSSES[work.loss], torch.optim.SGD(net.parameters(), RATE, fused=True)
    if form == "compile":
        torch._dynamo.reset()  # else it meets its limit of recompilations and gives up
        net = torch.compile(net, fullgraph=True)

    @torch.inference_mode()
    def infer(k: int) -> None:
        for _ in range(k):
            net(images)

    def steps(k: int) -> None:
        for _ in range(k):
            optimizer.zero_grad()
            loss(net(images), target).backward()
            optimizer.step()

    return infer if mode == "inference" else steps


if __name__ == "__main__":
    serve(prepare)
