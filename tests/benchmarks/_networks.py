"""The workloads: fcnn models, the images they take and the losses they are trained with.

Contestants get a workload as plain data (`_work.Work`), made here with `fcnn.walk`. Only
fcnn's own contestants import fcnn: importing it makes the C library keep freed memory, which
saves PyTorch up to 5000 page faults a step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from _work import Node, Work

import fcnn

Shape = tuple[int, ...]


class Workload(NamedTuple):
    """A model, the shape (height, width, channels) of its images, and its loss."""

    model: fcnn.Layer
    shape: Shape
    classes: int = 10
    loss: str = "softmax_cross_entropy"


def _pooled(filters: int, size: int, padding: int = 0) -> tuple[fcnn.Layer, ...]:
    return fcnn.conv2d(filters, size, padding=padding), fcnn.relu, fcnn.max_pool2d(2)


def _example(size: int = 28, width: int = 32) -> Workload:
    """Return the network of PyTorch's MNIST example for another image size and width."""
    model = fcnn.serial(
        *(fcnn.conv2d(width, 3), fcnn.relu, *_pooled(2 * width, 3), fcnn.flatten),
        *(fcnn.dense(128), fcnn.relu, fcnn.dense(10)),
    )
    return Workload(model, (size, size, 1))


def _normed(filters: int, size: int, stride: int = 1) -> tuple[fcnn.Layer, ...]:
    conv = fcnn.conv2d(filters, size, stride=stride, padding=size // 2, bias=None)
    return conv, fcnn.batch_norm()


def _block(filters: int, stride: int = 1) -> tuple[fcnn.Layer, ...]:
    """Return two 3×3 convolutions and a shortcut, 1×1 where the shape changes.

    Source: K. He et al., "Deep residual learning for image recognition", 2015,
    https://arxiv.org/abs/1512.03385.
    """
    shortcut = fcnn.serial(*(_normed(filters, 1, stride) if stride > 1 else ()))
    body = fcnn.serial(*_normed(filters, 3, stride), fcnn.relu, *_normed(filters, 3))
    return fcnn.add(shortcut, body), fcnn.relu


def _stage(filters: int, stride: int = 1) -> tuple[fcnn.Layer, ...]:
    return *_block(filters, stride), *_block(filters), *_block(filters)


WORKLOADS = {
    "article 000": Workload(
        fcnn.serial(
            *(fcnn.conv2d(5, 3, bias="untied"), fcnn.sigmoid, fcnn.flatten),
            *(fcnn.dense(100), fcnn.sigmoid, fcnn.dense(2), fcnn.sigmoid),
        ),
        (28, 28, 1),
        classes=2,
        loss="binary_cross_entropy",
    ),
    "article 001": Workload(
        fcnn.serial(
            *(fcnn.conv2d(5, 3), fcnn.relu, fcnn.flatten, fcnn.dense(100), fcnn.relu),
            *(fcnn.dropout(0.05), fcnn.dense(10)),
        ),
        (28, 28, 1),
    ),
    "articles 002/004": Workload(
        fcnn.serial(*_pooled(1, 6), fcnn.flatten, fcnn.dense(10)), (28, 28, 1)
    ),
    "article 003": Workload(
        fcnn.serial(fcnn.conv2d(16, 8), fcnn.conv2d(8, 4, stride=2), fcnn.flatten, fcnn.dense(10)),
        (28, 28, 1),
    ),
    "LeNet-5": Workload(
        fcnn.serial(
            *(*_pooled(6, 5, padding=2), *_pooled(16, 5), fcnn.flatten),
            *(fcnn.dense(120), fcnn.relu, fcnn.dense(84), fcnn.relu, fcnn.dense(10)),
        ),
        (28, 28, 1),
    ),
    "PyTorch example": _example(),
    "ResNet-20": Workload(
        fcnn.serial(
            *(*_normed(16, 3), fcnn.relu, *_stage(16), *_stage(32, 2), *_stage(64, 2)),
            *(fcnn.avg_pool2d(8), fcnn.flatten, fcnn.dense(10)),
        ),
        (32, 32, 3),
    ),
}
ARTICLES = {
    "article 000": {},
    "article 001": {"image_grad": False},
    "articles 002/004": {},
    "article 003": {"image_grad": False, "by_pixels": True},
}
"""How each article's own code computes; see `_articles.network`."""
IMAGES = {f"image {size}×{size}": _example(size=size) for size in (28, 40, 56)}
WIDTHS = {f"channels {width}, {2 * width}": _example(width=width) for width in (16, 32, 64)}


def find(name: str) -> Workload:
    return (WORKLOADS | IMAGES | WIDTHS)[name]


def described(workload: Workload) -> Work:
    """Return a workload as plain data, its layers nested as in the model."""
    lists: list[list[Node]] = [[]]  # lists[d] takes the next layer with d combinators around it
    for visit in fcnn.walk(workload.model, workload.shape, combinators=True):
        node = _node(visit)
        lists[visit.depth].append(node)
        lists[visit.depth + 1 :] = [node.layers]
    return Work(workload.shape, workload.classes, workload.loss, lists[0][0])


NAMES = {"residual": "add"}
"""A combinator by the name of another, whose arguments are the parts that `fcnn.walk` shows."""


def _node(visit: Any) -> Node:
    spec = visit.layer.spec
    is_combinator = len(visit.layer) > 0
    known = {
        k: v for k, v in spec.arguments.items() if v is None or isinstance(v, int | float | str)
    }
    # Initializers stay behind: contestants get params that are drawn here.
    kwargs = {k: v for k, v in dict(spec.kwargs).items() if not callable(v)}
    args, kwargs = ((), {}) if is_combinator else (spec.args, kwargs)
    name = NAMES.get(spec.name, spec.name)
    return Node(name, args, kwargs, known, visit.in_shape, visit.out_shape, [])


def multiply_adds(workload: Workload) -> tuple[int, int]:
    """Return those of one image: forward, and a training step without the first layer's dx."""
    rows = fcnn.summary(workload.model, workload.shape).rows
    each = [row.multiply_adds for row in rows if row.multiply_adds]
    return sum(each), 3 * sum(each) - each[0]
