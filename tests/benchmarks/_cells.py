"""Workloads of single layers, and of networks that are made of many kinds of them."""

from __future__ import annotations

from typing import NamedTuple

from _networks import WORKLOADS, Workload

import fcnn


class Cell(NamedTuple):
    """A workload, the batch it is measured with, and how.

    Attributes:
        workload: the model; a single layer is followed by nothing.
        batch: the number of examples.
        mode: "training" for a step, "layer" for forward pass and adjoint with dx, without loss
            and optimizer.
        target: the largest ratio to PyTorch that is aimed at.
    """

    workload: Workload
    batch: int
    mode: str
    target: float


def _alone(layer: fcnn.Layer, shape: tuple[int, ...], batch: int, target: float) -> Cell:
    workload = Workload(fcnn.serial(layer), shape, loss="mean_squared_error")
    return Cell(workload, batch, "layer", target)


CELLS = {
    "U-Net": Cell(
        Workload(fcnn.models.unet(levels=3, width=16), (64, 64, 1), loss="mean_squared_error"),
        *(16, "training", 1.2),
    ),
    "ConvNeXt": Cell(Workload(fcnn.models.convnext_small(), (32, 32, 3)), 64, "training", 1.2),
    "depthwise 3×3": _alone(fcnn.depthwise_conv2d(3, padding=1), (32, 32, 64), 64, 1.0),
    "conv1d": _alone(fcnn.conv1d(64, 7), (512, 64), 64, 1.0),
    "conv3d": _alone(fcnn.conv3d(16, 3), (16, 16, 16, 8), 16, 1.2),
    "layer norm": _alone(fcnn.layer_norm(), (32, 32, 64), 64, 1.0),
    "group norm": _alone(fcnn.group_norm(8), (32, 32, 64), 64, 1.0),
}


def _checkpointed(workload: Workload) -> Workload:
    """Return the network with each of its residual blocks in a `checkpointed`."""
    layers = [
        fcnn.checkpointed(each) if each.spec.name == "add" else each
        for each in workload.model.layers
    ]
    return workload._replace(model=fcnn.serial(*layers))


KEPT = {
    "ResNet-20": WORKLOADS["ResNet-20"],
    "ResNet-20, blocks checkpointed": _checkpointed(WORKLOADS["ResNet-20"]),
}
"""The same network with and without `checkpointed`, whose peak memory is compared."""
