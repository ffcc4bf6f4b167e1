"""Masks by the paths of weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs

from fcnn import tree
from fcnn._typing import Tree
from fcnn._value import Spec, Value, remember
from fcnn.errors import ArgumentError
from fcnn.optim._rows import refill


@attrs.frozen(eq=False, repr=False, slots=False)
class PathMask(Value):
    """A function of params that makes a mask, and that prints as the call that made it.

    >>> from fcnn import optim
    >>> optim.by_path("bias$")
    by_path('bias$')
    """

    of: Callable[[Tree], Tree]
    spec: Spec

    def __call__(self, params: Any) -> Any:
        """Return the mask of these params: a tree of True and False."""
        return self.of(params)


def _mask(constructor: Callable[..., Callable[[Tree], Tree]]) -> Callable[..., PathMask]:
    return remember(constructor, PathMask, "PathMask")


@_mask
def by_path(*patterns: str | Callable[[str], bool]) -> Callable[[Tree], Tree]:
    r"""Make the mask of the weights whose path one of the patterns is found in.

    A path is what `fcnn.tree.paths` gives: ``[0].weight`` is the field ``weight`` of the first
    layer of a `fcnn.serial`. A mask that is empty is an error, since nothing else would show a
    misspelt pattern.

    Args:
        *patterns: regular expressions, which are searched for anywhere in a path, or functions
            ``path -> bool``.

    Raises:
        ArgumentError: if there is no pattern, one is no regular expression, or, for the params,
            no path fits.

    >>> import fcnn
    >>> from fcnn import optim, tree
    >>> model = fcnn.serial(fcnn.dense(3), fcnn.relu, fcnn.dense(2))
    >>> params, _ = model.init(fcnn.key(0), (4,))
    >>> tree.paths(params)
    ['[0].weight', '[0].bias', '[2].weight', '[2].bias']
    >>> tree.leaves(optim.by_path("bias$")(params))
    [False, True, False, True]

    Freeze the first layer, and let all weights but biases decay:

    >>> first = optim.by_path(r"^\[0\]")
    >>> decaying = optim.by_path(lambda path: not path.endswith("bias"))
    >>> optimizer = optim.descend(
    ...     optim.chain(
    ...         optim.scale_by_adam(),
    ...         optim.add_decayed_weights(0.01, mask=decaying),
    ...         optim.scale_by_learning_rate(0.001),
    ...         optim.freeze(first),
    ...     )
    ... )
    >>> after, _ = optimizer.step(params, tree.zeros_like(params), optimizer.init(params))
    >>> after[0] == params[0], after[2] == params[2]
    (True, False)
    """
    if not patterns:
        raise ArgumentError("expected a pattern, got none; pass a regular expression, as 'bias$'")
    tests = [_test(pattern) for pattern in patterns]

    def mask(params: Tree) -> Tree:
        paths = tree.paths(params)
        flags = [any([bool(test(path)) for test in tests]) for path in paths]  # noqa: C419
        if paths and not any(flags):
            known = ", ".join(paths[:8]) + (", ..." if len(paths) > 8 else "")
            raise ArgumentError(
                f"expected a path that fits {', '.join(map(repr, patterns))}, got {known}"
            )
        made: Tree = refill(params, iter(flags))
        return made

    return mask


def _test(pattern: Any) -> Callable[[str], Any]:
    """Return the function of a path that says whether a pattern fits."""
    if not isinstance(pattern, str):
        if callable(pattern):
            test: Callable[[str], Any] = pattern
            return test
        raise ArgumentError(
            f"expected a regular expression or a function of a path, got {pattern!r}"
        )
    try:
        return re.compile(pattern).search
    except re.error as error:
        raise ArgumentError(
            f"expected a regular expression, got {pattern!r}: {error}; "
            f"write a bracket as \\[, or pass re.escape({pattern!r})"
        ) from None
