"""Hyper-parameters that a file tells, against those of the model's layer.

A PyTorch state_dict has none; Keras's configuration and ONNX's nodes do. Weights that fit in shape
are wrong with another epsilon, stride or padding, so a difference is reported.
"""

from __future__ import annotations

import math
from typing import Any

from fcnn._check import sizes
from fcnn._ops.window import AXES, Pads, check_padding, slide
from fcnn.errors import ShapeError
from fcnn.layers.conv import conv1d, conv2d, conv3d
from fcnn.layers.depthwise import depthwise_conv2d
from fcnn.weights._modules import Module
from fcnn.weights._rules import Target

_SLIDING = {conv1d: 1, conv2d: 2, conv3d: 3, depthwise_conv2d: 2}


def differences(target: Target, module: Module) -> list[str]:
    """Return what differs, as text."""
    ours, facts = dict(target.layer.spec.arguments), module.facts
    found = []
    for name in ("eps", "stride", "dilation", "groups"):
        if facts.get(name) is None or name not in ours:
            continue
        if name == "dilation" and _alike(1, ours["kernel_size"]):
            continue  # of a single element, which the file need not say
        if name == "eps":
            same = math.isclose(facts[name], ours[name], rel_tol=1e-4)
        else:
            same = _alike(facts[name], ours[name])
        if not same:
            found.append(f"{name}={facts[name]!r:.40} in the file, {ours[name]!r} in the model")
    theirs = facts.get("padding")
    rank = _SLIDING.get(target.layer.spec.constructor)
    if theirs is None or rank is None:
        return found
    here = _pads(target, rank, ours["padding"])
    try:
        there: Any = _pads(target, rank, _pairs(theirs))
    except ShapeError:  # the window does not fit with so few
        there = _pairs(theirs)
    if here != there:
        found.append(f"padding {there} in the file, {here} in the model")
    return found


def _alike(theirs: Any, ours: Any) -> bool:
    if isinstance(ours, int) and isinstance(theirs, list):
        return set(theirs) == {ours}
    if isinstance(theirs, int) and isinstance(ours, tuple):
        return set(ours) == {theirs}
    return bool((tuple(theirs) if isinstance(theirs, list) else theirs) == ours)


def _pairs(padding: Any) -> Any:
    """Return ONNX's ``[top, left, bottom, right]`` as fcnn has it."""
    if isinstance(padding, str):
        return padding
    half = len(padding) // 2
    return tuple(zip(padding[:half], padding[half:], strict=True))


def _pads(target: Target, rank: int, padding: Any) -> Pads:
    ours = target.layer.spec.arguments
    axes = AXES[rank]
    size, stride, dilation = [
        sizes(ours[name], name, axes) for name in ("kernel_size", "stride", "dilation")
    ]
    given = check_padding(
        padding[0]
        if rank == 1 and type(padding) is tuple and type(padding[0]) is tuple
        else padding,
        rank,
        causal=rank == 1,
    )
    return slide(target.in_shape[:rank], size, stride, dilation, given).pads
