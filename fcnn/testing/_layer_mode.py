"""Laws of the context: randomness comes from the key alone, statistics are observed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from fcnn import _batch, tree
from fcnn._layer import EVAL, Layer
from fcnn._typing import Tree
from fcnn.errors import MissingKeyError
from fcnn.prng import Key, fold_in
from fcnn.testing._compare import gap_between, is_float
from fcnn.testing._law import normal
from fcnn.testing._layer_case import Case
from fcnn.tree import Observation

EXAMPLES = 64
"""Enough examples for the statistics of a batch to be steady."""


def key_problems(case: Case) -> Iterator[str]:
    """Check that training draws from its key alone, and evaluation draws nothing."""
    params, x = case.at(np.float64, case.many)
    keys = [fold_in(case.key, 20 + i) for i in range(4)]
    others = [Key((key.seed + 1 + i) % 2**64, keys[0].path) for i, key in enumerate(keys)]
    ys, seeded = (
        [case.apply(params, x, attrs.evolve(case.ctx, key=key)) for key in each]
        for each in (keys, others)
    )
    digests, by_seed = ({tree.digest(y) for y in each} for each in (ys, seeded))
    if not case.ctx.train:
        if digests | by_seed != {tree.digest(case.apply(params, x, EVAL))}:
            yield "in evaluation, the context's key changes y"
        return
    if len(digests) == len(keys) and len(by_seed) == 1:
        yield "training draws from the key's path, and not from its seed"
    try:
        bare = case.apply(params, x, attrs.evolve(case.ctx, key=None))
    except MissingKeyError:
        bare = None
    if bare is not None and len(digests) > 1:
        yield "training without a key gives numbers; raise fcnn.errors.MissingKeyError"
    if len(digests) == 1:
        if bare is not None and tree.digest(bare) not in digests:
            yield "training with and without a key differ, but the key changes nothing"
        yield from _fixed_noise(case, params, x, ys[0])


def _fixed_noise(case: Case, params: Tree, x: Tree, y: Tree) -> Iterator[str]:
    """Find random numbers that do not come from the key, in a training that ignores it."""
    n = case.many
    swapped = np.arange(n) ^ 1
    swapped = np.where(swapped < n, swapped, np.arange(n))
    other = case.apply(params, _batch.take(x, swapped))
    if gap_between(other, _batch.take(y, swapped)) > 1e-6:
        yield "training treats an example by its place in the batch, and the key changes nothing"
    if isinstance(y, np.ndarray) and y.shape == np.shape(case.apply(params, x, EVAL)):
        dropped = np.ones(y.shape[1:], bool)
        for draw, own in enumerate((params, case.others(np.float64))):
            its = case.at(np.float64, n, draw)[1]
            zero = (case.apply(own, its) == 0) & (case.apply(own, its, EVAL) != 0)
            dropped &= zero.all(axis=0)
        if dropped.any():
            yield "training sets the same elements to zero for every input and every key"


def observation_problems(case: Case) -> Iterator[str]:
    """Check that an observation is what the batch showed, and the old value's weight."""
    if not any(tree.statistics(case.params)):
        return
    x = case.x(case.batch)
    seen = _observed(case, case.params, x)
    if not case.ctx.train:
        for path, stored, obs in seen:
            if tree.digest(tree.mix(stored, obs)) != tree.digest(stored):
                yield f"in evaluation {path} would change; give Observation(stored, 1.0)"
        return
    for path, _, obs in seen:
        if not 0 <= obs.weight <= 1:
            yield f"the weight of {path} is {obs.weight}; expected the old value's, in [0, 1]"
        if not np.isfinite(obs.value).all():
            yield f"the value of {path} is not finite"
    weights = [obs.weight for _, _, obs in seen]
    if weights != [obs.weight for _, _, obs in _observed(case, case.params, case.x(case.many))]:
        yield "the weight of an observation depends on the batch"
    yield from _own_argument(case, weights)
    others = _observed(case, _with_other_statistics(case, weights), x)
    for (path, _, obs), (_, _, other) in zip(seen, others, strict=True):
        if obs.weight > 0 and gap_between(obs.value, other.value) > 1e-9:
            yield f"{path} depends on the stored value; give what the batch showed and a weight"
    if not _depends_on_key(case):
        yield from _of_a_large_batch(case)


def _own_argument(case: Case, weights: list[float]) -> Iterator[str]:
    layer = case.layer
    if not isinstance(layer, Layer) or "momentum" not in layer.spec.arguments:
        return
    momentum = layer.spec.arguments["momentum"]
    if any(weight != momentum for weight in weights):
        yield (
            f"the weights are {weights}, and momentum is {momentum}: momentum is the weight of "
            f"the old value"
        )


def _observed(case: Case, params: Tree, x: Tree) -> list[tuple[str, Any, Observation]]:
    y, pullback = case.vjp(params, x)
    dparams, _ = pullback(case.dy(y))
    rows = zip(
        tree.paths(params),
        tree.leaves(params),
        tree.leaves(dparams),
        tree.statistics(params),
        strict=True,
    )
    return [(f"dparams{path}", stored, obs) for path, stored, obs, marked in rows if marked]


def _with_statistics(params: Tree, values: list[Any]) -> Tree:
    """Return params with other statistics, in the order of their leaves."""
    new = iter(values)
    return tree.map(lambda p: p, params, statistic=lambda p: next(new))


def _with_other_statistics(case: Case, weights: list[float] | None = None) -> Tree:
    """Return params with other statistics; given their weights, those of weight 1 stay.

    What never moves may decide on what is observed behind it, as the params of frozen layers do.
    """
    marks = tree.statistics(case.params)
    own = iter(weights or [0.0] * sum(marks))

    def larger(leaf: Any) -> Any:
        return 2 * leaf + 1 if next(own) < 1 and is_float(leaf) else leaf

    return tree.map(lambda p: p, case.params, statistic=larger)


def _depends_on_key(case: Case) -> bool:
    if case.ctx.key is None:
        return False
    contexts = (case.ctx, attrs.evolve(case.ctx, key=fold_in(case.key, 20)))
    y, other = (case.apply(case.params, case.x(case.many), ctx) for ctx in contexts)
    return tree.digest(y) != tree.digest(other)


def _of_a_large_batch(case: Case) -> Iterator[str]:
    """Check that observations are means, and that evaluation with them is as training was."""
    n = max(EXAMPLES, case.many)
    x = _off_centre(case, n)
    seen = _observed(case, case.params, x)
    doubled = _observed(case, case.params, _batch.concatenate([x, x]))
    for (path, _, obs), (_, _, other) in zip(seen, doubled, strict=True):
        if gap_between(obs.value, other.value) > 1 / n:
            yield f"{path} is another one where each example stands twice in the batch"
    gap = _gap_to_training(case, x)
    # A variance over n - 1 in place of n counts less the more examples there are.
    if gap > 4 / n and _gap_to_training(case, _off_centre(case, 4 * n)) > gap / 2:
        yield (
            f"evaluation with the statistics that a batch of {n} showed is {gap:.3g} apart "
            f"from training on that batch: a value has another sign, size or place"
        )


def _gap_to_training(case: Case, x: Tree) -> float:
    """Return how far evaluation with what x showed is from training on x.

    0 where training reads the stored statistics too, or evaluation does not read them.
    """
    trained = case.apply(case.params, x)
    others = _with_other_statistics(case)
    if gap_between(case.apply(others, x), trained) > 1e-9:
        return 0.0
    if gap_between(case.apply(others, x, EVAL), case.apply(case.params, x, EVAL)) <= 1e-9:
        return 0.0
    values = [obs.value for _, _, obs in _observed(case, case.params, x)]
    return gap_between(case.apply(_with_statistics(case.params, values), x, EVAL), trained)


def _off_centre(case: Case, n: int) -> Tree:
    """Return n examples whose features have means and deviations away from 0 and 1."""
    x = case.inputs(n, draw=2)
    if case.inputs.given is not None:
        return x

    def move(leaf: Any) -> Any:
        if not is_float(leaf) or leaf.ndim < 2:
            return leaf
        return 0.5 * leaf + 2 * normal(fold_in(case.key, 30), leaf.shape[-1:])

    return tree.map(move, x)
