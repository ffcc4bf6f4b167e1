"""The optimizer, the schedule and the augmentation that words of the command line name."""

from __future__ import annotations

import ast
from typing import Any

from fcnn import optim
from fcnn.cli._words import as_call, called, parsed, with_default
from fcnn.data import augment
from fcnn.errors import ArgumentError
from fcnn.optim import Optimizer

RATES = {
    "sgd": 0.05,
    "adam": 0.003,
    "adamw": 0.003,
    "rmsprop": 0.001,
    "adagrad": 0.01,
    "adadelta": 1.0,
    "adamax": 0.002,
    "amsgrad": 0.003,
    "nadam": 0.003,
    "radam": 0.003,
    "lion": 0.0003,
    "lamb": 0.01,
    "muon": 0.003,
}
"""The learning rate of each optimizer where none is given."""

SCHEDULES = ("one-cycle", "cosine", "linear", "step", "constant")
AUGMENTATIONS = tuple(
    name for name in augment.__all__ if name not in ("Augmentation", "augmentation", "chain")
)
_PLAIN = {
    "shift": "shift(2)",
    "rotate": "rotate(10)",
    "noise": "noise(0.05)",
    "brightness": "brightness(0.2)",
    "contrast": "contrast(0.2)",
    "cutout": "cutout(8)",
}
"""What a name alone stands for, where its call needs arguments."""


def optimizer_of(text: str, rate: float | None, schedule: str, steps: int) -> Optimizer:
    """Return an optimizer.

    Args:
        text: one of `RATES`, or a call of one without its learning rate.
        rate: the largest learning rate; that of `RATES` if None.
        schedule: one of `SCHEDULES`.
        steps: how many steps the schedule is made for.

    Raises:
        ArgumentError: if there is no such optimizer, or its arguments do not fit.
    """
    name, call = parsed(text, tuple(RATES), "an optimizer's name")
    if name == "muon":  # whose two optimizers then take one learning rate
        call = with_default(call, "consistent_rms", 0.2)
    if call.args or any(each.arg == "learning_rate" for each in call.keywords):
        raise ArgumentError(f"expected {name} without a learning rate; pass --learning-rate")
    over = _schedule(schedule, RATES[name] if rate is None else rate, max(1, steps))
    keywords = {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg}
    called(with_default(call, "learning_rate", 0.001), "fcnn.optim")  # its arguments are checked
    made: Optimizer = getattr(optim, name)(over, **keywords)
    return made


def _schedule(name: str, rate: float, steps: int) -> Any:
    rise = min(max(1, steps // 6), steps - 1)
    match name:
        case "constant":
            return rate
        case "cosine":
            return optim.cosine(rate, steps)
        case "linear":
            return optim.polynomial(rate, steps)
        case "step":
            return optim.step_decay(rate, every=-(-steps // 3), factor=0.1)
        case _:
            return optim.warmup(rise, optim.cosine(rate, steps - rise)) if rise else rate


def augment_of(text: str, classes: int) -> Any:
    """Return an augmentation; None for ``none``.

    Args:
        text: names or calls of `fcnn.data.augment`, joined by ``+``.
        classes: how many classes there are.

    Raises:
        ArgumentError: if there is no such augmentation, or its arguments do not fit.
    """
    if text == "none":
        return None
    what = "an augmentation's name, or several joined by +"
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise ArgumentError(f"expected {what}, got {text!r}") from None
    found = []
    for part in _parts(node):
        plain = _PLAIN.get(part.id) if isinstance(part, ast.Name) else None
        each = ast.parse(plain, mode="eval").body if plain else part
        name, call = as_call(each, AUGMENTATIONS, what, text)
        if name in ("mixup", "cutmix"):
            call = with_default(call, "classes", classes)
        found.append(called(call, "fcnn.data.augment"))
    return found[0] if len(found) == 1 else augment.chain(*found)


def _parts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_parts(node.left), *_parts(node.right)]
    return [node]
