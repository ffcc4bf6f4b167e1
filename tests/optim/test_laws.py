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
    optim.exponential(0.1, every=3, factor=0.5),
    optim.piecewise((0.1, 0.2, 0.0), (2, 7)),
    optim.polynomial(0.1, 50, power=1.5),
    optim.one_cycle(0.1, 70),
    optim.cosine_restarts(0.1, 10),
    optim.cosine_restarts(0.1, 10, factor=2),
    optim.join((0.1, optim.cosine(0.1, 30), optim.warmup(20, 0.3)), (20, 60)),
]


def test_an_optimizer_obeys_every_law(optimizer: Any) -> None:
    check_optimizer(optimizer, steps=12, calls=10, skip=SKIPPED.get(repr(optimizer), ()))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_a_schedule_obeys_every_law(schedule: Any) -> None:
    check_schedule(schedule, 100)


SKIPPED: dict[str, list[str]] = {
    "descend(chain())": ["downhill"],  # adds the gradient
}
