"""Transforms that treat every element by itself, and how they run in one pass.

Momentum, Adam, decay and learning rates all compute an element's update from that
element's own gradient, parameter and moments. Such a transform is a `Rule`; a
chain of them is a tuple of rules, and is run leaf by leaf, a leaf piece by piece:
each piece goes through all the rules while it is in the processor's cache, so that
a step reads and writes main memory once, however long the chain. The numbers are
those of one rule after the other, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import numpy as np

from fcnn import tree
from fcnn._typing import Tree
from fcnn.errors import TreeError

PIECE = 32_768
"""Elements in a piece. Adam touches eight arrays of them: 1 MiB of float32, about an L2 cache."""

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
    """What happens to each element.

    Attributes:
        at: ``at(count)`` gives the kernel of the step after ``count`` steps:
            ``kernel(update, param, *moments) -> (update, *moments)``, on arrays of
            any one shape, elementwise, writing into none of its arguments.
        moments: how many moments the rule keeps for each element; they start at zero.
        where: the leaves that the rule applies to, by path and leaf; None for all.
    """

    at: Callable[[int], Kernel]
    moments: int = 0
    where: Where | None = None


@tree.node
class State:
    """How many steps were made, and the moments: trees like the parameters."""

    count: int
    moments: tuple[Tree, ...]


@attrs.frozen
class Elementwise:
    """A transform made of rules, each applied to what the one before it returned."""

    rules: tuple[Rule, ...]

    def init(self, params: Tree) -> State:
        """No steps yet, and all moments zero."""
        return State(
            0, tuple(tree.zeros_like(params) for r in self.rules for _ in range(r.moments))
        )

    def update(self, grads: Tree, state: State, params: Tree) -> tuple[Tree, State]:
        """The gradients, transformed, and the next state; statistics pass as they are."""
        return self._run(params, grads, state, lambda p, u: u, lambda p, g: g)

    def step(self, params: Tree, grads: Tree, state: State) -> tuple[Tree, State]:
        """`update` and its addition to the parameters, in one pass."""
        return self._run(params, grads, state, np.add, np.subtract)

    def _run(
        self, params: Tree, grads: Tree, state: State, finish: Any, on_statistic: Any
    ) -> tuple[Tree, State]:
        wanted = sum(rule.moments for rule in self.rules)
        if type(state) is not State or len(state.moments) != wanted:
            raise TreeError(
                f"the state of these transforms keeps {wanted} moments, and {state!r:.200} came"
            )
        kernels = [(rule.at(state.count), rule.moments, rule.where) for rule in self.rules]
        paths = iter(tree.paths(params)) if any(r.where for r in self.rules) else None
        found: list[list[Any]] = [[] for _ in state.moments]

        def at_leaf(p: Any, g: Any, *moments: Any) -> Any:
            chosen = kernels
            if paths is not None:
                path = next(paths)
                chosen = [k if k[2] is None or k[2](path, p) else _SKIP[k[1]] for k in kernels]
            result, *after = _leaf(chosen, finish, p, g, moments)
            for kept, moment in zip(found, after, strict=True):
                kept.append(moment)
            return result

        def at_statistic(p: Any, g: Any, *moments: Any) -> Any:
            if paths is not None:
                next(paths)
            for kept, moment in zip(found, moments, strict=True):
                kept.append(moment)
            return on_statistic(p, g)

        result = tree.map(at_leaf, params, grads, *state.moments, statistic=at_statistic)
        moments = []
        for kept in found:
            leaves = iter(kept)
            moments.append(tree.map(lambda _, leaves=leaves: next(leaves), params))
        return result, State(state.count + 1, tuple(moments))


_SKIP: list[Any] = [(lambda u, p, *m: (u, *m), moments, None) for moments in range(8)]


def _pass(kernels: Any, finish: Any, p: Any, u: Any, moments: Any) -> list[Any]:
    """One piece through all the kernels: the result, then the moments."""
    if len(kernels) == 1:
        u, *kept = kernels[0][0](u, p, *moments)
        return [finish(p, u), *kept]
    kept = []
    start = 0
    for kernel, n, _ in kernels:
        u, *new = kernel(u, p, *moments[start : start + n])
        kept += new
        start += n
    return [finish(p, u), *kept]


def _leaf(kernels: Any, finish: Any, p: Any, g: Any, moments: Any) -> list[Any]:
    if not isinstance(p, np.ndarray):
        return [np.asarray(x).item() for x in _pass(kernels, finish, p, g, moments)]
    if g.dtype != p.dtype:
        g = g.astype(p.dtype)
    if p.ndim and p.size <= PIECE:
        made = _pass(kernels, finish, p, g, moments)
        for array in made:
            array.setflags(write=False)
        return made
    flat = [array.reshape(-1) for array in (p, g, *moments)]
    made = [np.empty(p.shape, p.dtype) for _ in range(1 + len(moments))]
    into = [array.reshape(-1) for array in made]
    for start in range(0, p.size, PIECE):
        piece = slice(start, start + PIECE)
        p_piece, g_piece, *m_pieces = [array[piece] for array in flat]
        for out, array in zip(
            into, _pass(kernels, finish, p_piece, g_piece, m_pieces), strict=True
        ):
            out[piece] = array
    for array in made:
        array.setflags(write=False)
    return made
