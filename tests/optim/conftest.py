"""The table of optimizers and the trees that the tests of optimizers share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fcnn import optim, tree


def by_axes(params: Any) -> Any:
    return tree.map(lambda leaf: "kernel" if np.ndim(leaf) > 1 else "rest", params)


OPTIMIZERS: list[optim.Optimizer] = [
    optim.sgd(0.1),
    optim.sgd(optim.step_decay(0.1, every=2, factor=0.5)),
    optim.sgd(0.1, momentum=0.9),
    optim.sgd(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    optim.sgd(0.1, weight_decay=0.01, mask=optim.matrices),
    optim.adam(0.01),
    optim.adamw(optim.warmup(3, optim.cosine(0.01, 5))),
    optim.adamw(0.01, weight_decay=0.1, mask=optim.matrices),
    optim.rmsprop(0.01),
    optim.rmsprop(0.01, decay=0.99, momentum=0.5),
    optim.descend(
        optim.chain(
            optim.clip_by_global_norm(0.5), optim.scale_by_adam(), optim.scale_by_learning_rate(0.1)
        )
    ),
    optim.descend(optim.chain(optim.trace(), optim.scale(-0.1), optim.clip_by_global_norm(0.5))),
    optim.descend(optim.chain()),
    optim.descend(
        optim.chain(
            optim.ema(0.9),
            optim.masked(optim.trace(0.5), optim.matrices),
            optim.scale_by_schedule(optim.cosine(0.1, 5)),
            optim.scale(-1.0),
            optim.freeze(optim.matrices),
        )
    ),
    optim.partition({"kernel": optim.adam(0.01), "rest": optim.sgd(0.1, momentum=0.9)}, by_axes),
    optim.descend(
        optim.partition({"kernel": optim.scale(-0.1), "rest": optim.set_to_zero()}, by_axes)
    ),
    optim.accumulate(optim.adam(0.01), 3),
    optim.descend(optim.accumulate(optim.scale(-0.1), 2)),
    optim.params_ema(optim.sgd(0.1, momentum=0.9), 0.9),
    optim.adagrad(0.1, weight_decay=0.01, mask=optim.matrices),
    optim.adadelta(),
    optim.adamax(0.01, weight_decay=0.01),
    optim.amsgrad(0.01, weight_decay=0.01, mask=optim.matrices),
    optim.nadam(0.01, weight_decay=0.01, mask=optim.matrices),
    optim.radam(0.01, weight_decay=0.01, mask=optim.matrices),
    optim.lion(0.01, weight_decay=0.01, mask=optim.matrices),
    optim.lamb(0.01, weight_decay=0.01, mask=optim.matrices),
    optim.muon(0.01, weight_decay=0.01, adam_learning_rate=0.02),
    optim.muon(0.01, consistent_rms=0.2, mask=False),
    optim.schedule_free(optim.scale_by_rms(), optim.warmup(3, 0.01)),
    optim.schedule_free_sgd(0.1, weight_decay=0.01, mask=optim.matrices),
    optim.schedule_free_adamw(0.01),
    optim.skip_nonfinite(optim.adam(0.01), 3),
    optim.descend(optim.skip_nonfinite(optim.chain(optim.trace(), optim.scale(-0.1)))),
]


@pytest.fixture(params=OPTIMIZERS, ids=repr)
def optimizer(request: Any) -> Any:
    return request.param


@pytest.fixture(scope="session")
def optimizers() -> list[optim.Optimizer]:
    return OPTIMIZERS


@tree.node
class Block:
    weight: Any
    bias: Any
    mean: Any = tree.statistic()


class Trees:
    """Params and gradients with nodes, tuples, dicts, lists, None and an array without axes."""

    Block = Block

    @staticmethod
    def params(seed: int, dtype: Any = np.float32) -> Any:
        rng = np.random.default_rng(seed)

        def draw(*shape: int) -> Any:
            return rng.normal(size=shape).astype(dtype)

        return (
            Block(draw(3, 2), draw(2), draw(2)),
            (),
            {"kernel": draw(2, 2, 1, 3), "gain": np.array(rng.normal(), dtype)},
            [draw(2), None],
        )

    @classmethod
    def grads(cls, seed: int, dtype: Any = np.float32, weight: float = 0.75) -> Any:
        block, *rest = cls.params(seed, dtype)
        seen = tree.Observation(block.mean, weight)
        return (Block(block.weight, block.bias, seen), *rest)

    @classmethod
    def run(cls, optimizer: Any, params: Any, state: Any, steps: range) -> tuple[Any, Any]:
        for step in steps:
            params, state = optimizer.step(params, cls.grads(100 + step), state)
        return params, state


@pytest.fixture(scope="session")
def trees() -> type[Trees]:
    return Trees
