"""Transforms that treat every element by itself, and how they run in one pass.

Momentum, Adam, decay and learning rates all compute an element's update from that
element's own gradient, parameter and moments. Such a transform is a `Rule`; a
chain of them is a tuple of rules, and is run leaf by leaf, a large leaf with moments piece by
piece: each piece goes through all the rules, and is added to the parameters, while
it is in the processor's cache, so that a step reads and writes main memory once,
however long the chain. The numbers are those of one rule after the other, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import numpy as np

from fcnn import tree
from fcnn._typing import Tree
from fcnn.errors import TreeError

PIECE = 65_536
"""Elements in a piece. Measured with Adam on 9216×128 float32: smaller pieces lose more to
calls than they win in the cache; the whole leaf at once takes half as long again."""

Kernel: TypeAlias = Callable[..., tuple[Any, ...]]
"""``kernel(update, param, *moments) -> (update, *moments)``; it writes into none of them."""

Where: TypeAlias = Callable[[str, Any], bool]
"""``where(path, leaf)``: whether a leaf is meant; the path is that of `fcnn.tree.paths`."""


def matrices(path: str, leaf: Any) -> bool:
    """Whether a leaf has two axes or more: true for kernels, false for biases and scales.

    >>> import numpy as np
    >>> from fcnn import optim
    >>> optim.matrices("[0].weight", np.ones((2, 3))), optim.matrices("[0].bias", np.ones(3))
    (True, False)
    """
    return np.ndim(leaf) >= 2


@attrs.frozen
class Rule:
    """What happens to each element: return one from a `transform` constructor.

    Attributes:
        at: ``at(count)`` gives the kernel of the step that follows ``count`` steps:
            ``kernel(update, param, *moments) -> (update, *moments)``, on arrays of
            any one shape, elementwise, writing into none of its arguments.
        moments: how many moments the rule keeps for each element; they start at zero.
        where: the leaves that the rule applies to, by path and leaf; None for all.

    >>> from fcnn import optim
    >>> @optim.transform
    ... def power(exponent):
    ...     return optim.Rule(lambda count: lambda u, p: (u**exponent,))
    >>> power(3).update((2.0,), power(3).init((0.0,)), (0.0,))[0]
    (8.0,)
    """

    at: Callable[[int], Kernel]
    moments: int = 0
    where: Where | None = None


@tree.node
class State:
    """The state of elementwise transforms.

    Attributes:
        count: how many steps were made.
        moments: for each moment, its arrays, in the order of ``tree.leaves(params)``;
            those of statistics stay zero.

    >>> from fcnn import optim
    >>> optim.adam(0.1).init((1.0, 2.0))
    State(count=0, moments=((0.0, 0.0), (0.0, 0.0)))
    """

    count: int
    moments: tuple[tuple[Any, ...], ...]


@attrs.frozen(eq=False, repr=False)
class Elementwise:
    """A transform made of rules, each applied to what the one before it returned."""

    rules: tuple[Rule, ...]

    def init(self, params: Tree) -> State:
        """No steps yet, and all moments zero."""
        zeros = tuple(tree.leaves(tree.zeros_like(params)))
        return State(0, (zeros,) * sum(rule.moments for rule in self.rules))

    def update(self, grads: Tree, state: State, params: Tree) -> tuple[Tree, State]:
        """The gradients, transformed, and the next state; statistics pass as they are."""
        return self._run(params, grads, state, lambda p, u, out=None: u, lambda p, g: g)

    def step(self, params: Tree, grads: Tree, state: State) -> tuple[Tree, State]:
        """`update` and its addition to the parameters, in one pass."""
        return self._run(params, grads, state, _add, tree.mix)

    def _run(
        self, params: Tree, grads: Tree, state: State, finish: Any, on_statistic: Any
    ) -> tuple[Tree, State]:
        _check_state(state, sum(rule.moments for rule in self.rules))
        parts = [(rule.at(state.count), rule.moments) for rule in self.rules]
        kernel = _compose(parts)
        paths = iter(tree.paths(params)) if any(rule.where for rule in self.rules) else None
        before = zip(*state.moments, strict=True) if state.moments else None
        after: list[tuple[Any, ...]] = []

        def at_leaf(p: Any, g: Any) -> Any:
            here = kernel if paths is None else self._kernel_at(next(paths), p, parts)
            if before is None:
                return _leaf(here, finish, p, g, ())[0]
            result, kept = _leaf(here, finish, p, g, _take(before, p))
            after.append(kept)
            return result

        def at_statistic(p: Any, g: Any) -> Any:
            if paths is not None:
                next(paths)
            if before is not None:
                after.append(_take(before, p))
            return on_statistic(p, g)

        result = tree.map(at_leaf, params, grads, statistic=at_statistic)
        if before is not None and next(before, None) is not None:
            raise TreeError(f"the optimizer's state is of a tree of more than {len(after)} leaves")
        moments = tuple(zip(*after, strict=True)) if after else state.moments
        return result, State(state.count + 1, moments)

    def _kernel_at(self, path: str, p: Any, parts: list[tuple[Kernel, int]]) -> Kernel:
        """The kernel of those rules that apply to the leaf at this path."""
        pairs = zip(self.rules, parts, strict=True)
        return _compose(
            [
                part if rule.where is None or rule.where(path, p) else (_skip, rule.moments)
                for rule, part in pairs
            ]
        )


def _check_state(state: Any, moments: int) -> None:
    if type(state) is not State or len(state.moments) != moments:
        raise TreeError(
            f"these transforms keep a State of {moments} moments, and {state!r:.80} came: "
            f"start from what init(params) returns"
        )


def _take(before: Any, p: Any) -> tuple[Any, ...]:
    """The next leaf's moments, which must have its shape."""
    moments: tuple[Any, ...] | None = next(before, None)
    shape = np.shape(p)
    if moments is None or any(np.shape(moment) != shape for moment in moments):
        found = "none" if moments is None else f"of shape {np.shape(moments[0])}"
        raise TreeError(
            f"the optimizer's state is of other parameters: the moments of a leaf of shape "
            f"{shape} are {found}"
        )
    return moments


def _skip(u: Any, p: Any, *moments: Any) -> tuple[Any, ...]:
    return u, *moments


def _compose(parts: list[tuple[Kernel, int]]) -> Kernel:
    """One kernel that does what these do one after the other, each with its own moments."""
    if len(parts) == 1:
        return parts[0][0]

    def kernel(u: Any, p: Any, *moments: Any) -> tuple[Any, ...]:
        kept: list[Any] = []
        start = 0
        for part, n in parts:
            u, *new = part(u, p, *moments[start : start + n])
            kept += new
            start += n
        return u, *kept

    return kernel


def _leaf(
    kernel: Kernel, finish: Any, p: Any, g: Any, moments: tuple[Any, ...]
) -> tuple[Any, tuple[Any, ...]]:
    """What ``finish`` makes of a leaf and its update, and the new moments; all of p's dtype."""
    if type(p) is not np.ndarray:
        u, *kept = kernel(g, p, *moments)
        return _plain(finish(p, u)), tuple(_plain(moment) for moment in kept)
    if type(g) is not np.ndarray and np.shape(g) != p.shape:
        raise TreeError(f"the gradient of an array of shape {p.shape} came as {g!r:.80}")
    if type(g) is not np.ndarray or g.dtype is not p.dtype:
        g = np.asarray(g, p.dtype)
    if not p.shape or (moments and p.size > PIECE):  # two operations alone gain nothing by pieces
        return _by_pieces(kernel, finish, p, g, moments)
    u, *kept = kernel(g, p, *moments)
    # An update that is a new array of its own, and no moment, may become the new leaf.
    spare = u.base is None and u is not g and not (kept and any(u is each for each in kept))
    return finish(p, u, u if spare else None), tuple(kept)


def _add(p: Any, u: Any, out: Any = None) -> Any:
    moved = np.add(p, u, out)
    moved.setflags(write=False)  # so that the node that will hold it needs no view of it
    return moved


def _plain(number: Any) -> Any:
    return number.item() if isinstance(number, np.generic) else number


def _by_pieces(
    kernel: Kernel, finish: Any, p: Any, g: Any, moments: tuple[Any, ...]
) -> tuple[Any, tuple[Any, ...]]:
    made = [np.empty(p.shape, p.dtype) for _ in range(1 + len(moments))]
    flat_made = [array.reshape(-1) for array in made]
    flat_p, flat_g, *flat_moments = [array.reshape(-1) for array in (p, g, *moments)]
    for start in range(0, p.size, PIECE):
        piece = slice(start, start + PIECE)
        p_piece = flat_p[piece]
        u, *kept = kernel(flat_g[piece], p_piece, *[moment[piece] for moment in flat_moments])
        for into, array in zip(flat_made, (finish(p_piece, u), *kept), strict=True):
            into[piece] = array
    return made[0], tuple(made[1:])
