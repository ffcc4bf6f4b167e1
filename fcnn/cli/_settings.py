"""The options of training: what they are on the command line, by default, and in a run's folder."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from fcnn._layer import Layer
from fcnn.cli._known import KNOWN
from fcnn.cli._models import NAMES, model_of
from fcnn.cli._parser import Parser, one_of, positive, whole
from fcnn.cli._recipe import AUGMENTATIONS, RATES, SCHEDULES, augment_of, optimizer_of
from fcnn.cli._sources import Sets, read, with_classes
from fcnn.errors import DataError
from fcnn.losses import Loss, mean_squared_error, softmax_cross_entropy
from fcnn.optim import Optimizer

OPTIONS = ("data", "model", "epochs", "batch_size", "optimizer", "learning_rate", "schedule",
           "augment", "seed", "size", "limit")  # fmt: skip


def add_options(parser: Parser) -> None:
    """Add the options of training; those that are not given are None."""
    add = parser.add_argument
    add("--data", metavar="NAME|FOLDER|FILE",
        help="mnist (by default; 6,200 digits are in the package), fashion-mnist or another set "
        "that 'fcnn data where' lists, a folder with a folder of images for each class, or an "
        ".npz file with arrays x and y")  # fmt: skip
    add("--model", metavar="NAME",
        help=f"{', '.join(NAMES)}, such a call as \"vgg_small(width=32)\", or module:name; "
        "small by default, mlp where examples are no images")  # fmt: skip
    add("--epochs", type=whole(1), metavar="N", help="passes over the data; 12 by default")
    add("--batch-size", type=whole(1), metavar="N", help="32 by default")
    add("--optimizer", metavar="NAME",
        help=f"{', '.join(RATES)}, or such a call as \"sgd(momentum=0.9)\"; "
        '"adamw(weight_decay=0.05)" by default')  # fmt: skip
    add("--learning-rate", type=positive, metavar="RATE",
        help="the largest of the schedule; the optimizer's own by default")  # fmt: skip
    add("--schedule", type=one_of(SCHEDULES), metavar="NAME",
        help=f"{', '.join(SCHEDULES)}; one-cycle by default")  # fmt: skip
    add("--augment", metavar="NAMES",
        help=f"{', '.join(AUGMENTATIONS)}, several joined by +, or none; affine by default for "
        "digits, flip for clothes, both or shifts for photographs, else none")  # fmt: skip
    add("--seed", type=whole(0), metavar="N", help="0 by default")
    add("--size", type=size, metavar="N|HxW",
        help="height and width that the images of a folder are resized to")  # fmt: skip
    add("--limit", type=whole(1), metavar="N", help="train on the first N examples only")


def size(text: str) -> list[int]:
    """Read ``64`` or ``48x64``."""
    found = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", text)
    if not found or "0" in found.groups():
        raise argparse.ArgumentTypeError(f"expected a size such as 64 or 48x64, got {text!r}")
    return [int(found[1]), int(found[2] or found[1])]


def chosen(given: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given."""
    found = {name: getattr(given, name, None) for name in OPTIONS}
    return {name: value for name, value in found.items() if value is not None}


def completed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options, those that are not given as they are by default."""
    data = given.get("data", "mnist")
    found: dict[str, Any] = dict.fromkeys(OPTIONS)
    found |= {
        "data": data,
        "epochs": 12,
        "batch_size": 32,
        "optimizer": "adamw(weight_decay=0.05)",
        "schedule": "one-cycle",
        "augment": KNOWN[data].augment if data in KNOWN else "none",
        "seed": 0,
    }
    found |= dict(given)
    if found["learning_rate"] is None and "optimizer" not in given and found["model"] is None:
        found["learning_rate"] = 0.01  # with batch norm, the default model trains well at it
    return found


@attrs.frozen
class Task:
    """What a run computes: data, model, loss, optimizer, augmentation."""

    sets: Sets
    model: Layer
    loss: Loss
    optimizer: Optimizer
    augment: Any


def held(settings: Mapping[str, Any], sets: Sets) -> dict[str, Any]:
    """Return what the folder of a run keeps of it."""
    return {"command": "train", **settings, "shape": list(sets.shape)}


def data_of(settings: Mapping[str, Any], data: str | None = None) -> Sets:
    """Return the data of a run, or all of others for its model.

    Raises:
        DataError: if there are none, or they have classes that the run has not.
    """
    shape: Sequence[int] = settings.get("shape") or []
    pair = settings.get("size") or (shape[:2] if len(shape) == 3 else None)
    found = read(
        settings["data"] if data is None else data,
        size=None if pair is None else (pair[0], pair[1]),
        classes=(settings.get("classes") or None) if data is None else None,
        channels=shape[2] if len(shape) == 3 else None,
        whole=data is not None,
    )
    if data is not None:
        return attrs.evolve(found, held=with_classes(found.held, settings["classes"]))
    limit = settings.get("limit")
    if limit is not None:
        if limit > len(found.train):
            raise DataError(f"expected at most {len(found.train)} as limit, got {limit}")
        found = attrs.evolve(found, train=found.train[:limit])
    return found


def task_of(settings: Mapping[str, Any], sets: Sets) -> Task:
    """Return what a run with such settings computes.

    Raises:
        ArgumentError: if a word stands for nothing.
    """
    steps = settings["epochs"] * -(-len(sets.train) // settings["batch_size"])
    return Task(
        sets,
        model_of(settings["model"], sets.shape, sets.outputs),
        softmax_cross_entropy if sets.is_classes else mean_squared_error,
        optimizer_of(settings["optimizer"], settings["learning_rate"], settings["schedule"], steps),
        augment_of(settings["augment"], sets.outputs),
    )
