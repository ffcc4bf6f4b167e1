"""Every optimizer and every schedule through every law."""

from __future__ import annotations

from typing import Any

import pytest

from fcnn import optim
from fcnn.testing import check_optimizer, check_schedule

SCHEDULES = [
    optim.constant_schedule(0.1),
    optim.step_decay(0.1, every=2, factor=0.5),
    optim.cosine(0.1, 5),
    optim.warmup(3, optim.cosine(0.1, 5, final=0.01)),
]


def test_an_optimizer_obeys_every_law(optimizer: Any) -> None:
    check_optimizer(optimizer, steps=12, calls=10, skip=SKIPPED.get(repr(optimizer), ()))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_a_schedule_obeys_every_law(schedule: Any) -> None:
    check_schedule(schedule, 100)


SKIPPED: dict[str, list[str]] = {
    "descend(chain())": ["downhill"],  # adds the gradient
}
