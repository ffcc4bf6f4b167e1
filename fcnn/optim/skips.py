"""Steps that are left out because a gradient is not finite."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from fcnn import _check, tree
from fcnn._ops.values import decide
from fcnn._typing import Tree
from fcnn.optim._contracts import (
    Transform,
    TransformOrOptimizer,
    check_optimizer,
    runner,
    same_kind,
    wrapper,
)
from fcnn.optim._leaves import check_fit, keep_first
from fcnn.optim._states import expect, kept
from fcnn.optim.wrappers import no_update
from fcnn.tree import Observation


@tree.node
class SkipNonfiniteState:
    """The state of `skip_nonfinite`.

    Attributes:
        skipped: the number of steps left out.
        consecutive: how many gradients in a row were not finite, the last one included.
        inner_state: the state of the transform or optimizer.
    """

    skipped: int
    consecutive: int
    inner_state: Any = attrs.field(converter=kept)


@wrapper
def skip_nonfinite(inner: TransformOrOptimizer, max_consecutive: int = 5) -> TransformOrOptimizer:
    """Leave out the steps whose gradients hold a NaN or an infinity, and count them.

    Params, running statistics and the state of ``inner`` stay as they are; a transform returns
    updates of zero. The observations of statistics must be finite too. After
    ``max_consecutive`` skips in a row the next step is made with what gradients there are, so
    that a run that diverged shows it. The state's ``skipped`` is the number of steps left out.

    `fcnn.fit` raises an error where the loss is not finite, before the optimizer sees the
    gradients: there this leaves out the steps whose loss is finite all the same.

    Args:
        inner: an optimizer, or a gradient transform; the result is of the same kind.
        max_consecutive: how many steps in a row may be left out.

    Raises:
        ArgumentError: if ``inner`` is something else, or ``max_consecutive`` is not a whole
            number of at least 0.

    >>> from fcnn import optim
    >>> optimizer = optim.skip_nonfinite(optim.sgd(1.0))
    >>> params, state = (1.0,), optimizer.init((1.0,))
    >>> for gradient in (0.5, float("nan"), 0.25):
    ...     params, state = optimizer.step(params, (gradient,), state)
    >>> params, state.skipped
    ((0.25,), 1)
    """
    max_consecutive = _check.whole(max_consecutive, "max_consecutive", 0)
    if not isinstance(inner, Transform):
        check_optimizer(inner)
    run_inner = runner(inner)
    idle = no_update if isinstance(inner, Transform) else keep_first

    def init(params: Tree) -> SkipNonfiniteState:
        return SkipNonfiniteState(0, 0, inner.init(params))

    def run(params: Tree, grads: Tree, state: Any) -> tuple[Tree, SkipNonfiniteState]:
        expect(state, SkipNonfiniteState)
        if all(map(_is_finite, tree.leaves(grads))):
            skipped, consecutive = state.skipped, 0
        elif state.consecutive < max_consecutive:
            check_fit(params, grads)
            after = SkipNonfiniteState(state.skipped + 1, state.consecutive + 1, state.inner_state)
            return idle(params), after
        else:
            skipped, consecutive = state.skipped, state.consecutive
        made, inner_state = run_inner(params, grads, state.inner_state)
        return made, SkipNonfiniteState(skipped, consecutive, inner_state)

    return same_kind(inner, init, run)


def _is_finite(leaf: Any) -> bool:
    values = leaf.value if isinstance(leaf, Observation) else leaf
    return decide(np.isfinite(values).all())
