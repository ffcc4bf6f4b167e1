"""The triple of layers side by side, whatever joins their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fcnn._layer import EVAL, Context, Layer, Triple, core, is_shape, relocate
from fcnn._sharing import Ties
from fcnn._typing import ModelPullback, Tree
from fcnn._walk import Part, step_of
from fcnn.errors import ArgumentError, ShapeError, TreeError
from fcnn.layers._children import check_layers, check_params, check_steps
from fcnn.layers._joins import Join, total_of
from fcnn.prng import Key, fold_in


def parts_in_order(name: str, layers: Sequence[Layer]) -> list[Part]:
    """Return layers as parts, their params in a tuple."""
    return [Part(step_of(name, i, each), each, (i,), i) for i, each in enumerate(layers)]


def parts_by_name(name: str, layers: Sequence[Layer], named: dict[str, Layer]) -> list[Part]:
    """Return layers as parts, their params in a dict where they have names."""
    if layers and named:
        raise ArgumentError(f"expected {name} of layers all with names or none, got some of each")
    check_layers(name, (*layers, *named.values()), least=1)
    if not named:
        return parts_in_order(name, layers)
    return [Part(step_of(name, key, named[key]), named[key], (key,), key) for key in sorted(named)]


class SideBySide:
    """Layers that read the same input, or each its item of it; ``join`` makes one of their outputs.

    ``triple`` is the layer's init, apply and vjp.
    """

    def __init__(
        self, name: str, parts: Sequence[Part], join: Join, *, reads_items: bool = False
    ) -> None:
        self._name, self._parts, self._join, self._reads_items = name, parts, join, reads_items
        check_steps(parts)
        self._ties = Ties(parts)
        self._keys = [part.item for part in parts]
        self._in_dict = isinstance(self._keys[0], str)

    @property
    def triple(self) -> Triple:
        """The layer's functions."""
        return self._init, self._apply, self._vjp

    def _init(self, key: Key, shape: Any) -> tuple[Tree, Any]:
        made = []
        for i, (part, seen) in enumerate(zip(self._parts, self._read(shape), strict=True)):
            try:
                made.append(part.layer.init(fold_in(key, i), seen))
            except Exception as error:
                relocate(error, part.step, part.layer)
        params = self._together([params for params, _ in made])
        return self._ties.prune(params), self._join.shape([out for _, out in made])

    def _apply(self, params: Tree, x: Any, ctx: Context = EVAL) -> Any:
        ys = []
        for i, (part, own, seen) in enumerate(self._each(params, x)):
            try:
                ys.append(part.layer.apply(own, seen, ctx.child(i)))
            except Exception as error:
                relocate(error, part.step, part.layer)
        return self._join.value(ys)

    def _vjp(self, params: Tree, x: Any, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        ys, pullbacks = [], []
        for i, (part, own, seen) in enumerate(self._each(params, x)):
            try:
                y, pullback = core(part.layer.vjp)(own, seen, ctx.child(i))
            except Exception as error:
                relocate(error, part.step, part.layer)
            ys.append(y)
            pullbacks.append(pullback)
        y, pull = self._join.vjp(ys)
        del ys  # what the pullback does not read is freed

        def pullback_all(dy: Any) -> tuple[Tree, Any]:
            grads, dxs = [], []
            for part, pullback, dpart in zip(self._parts, pullbacks, pull(dy), strict=True):
                try:
                    grad, dx = pullback(dpart)
                except Exception as error:
                    relocate(error, part.step, part.layer)
                grads.append(grad)
                dxs.append(dx)
            dparams = self._ties.add(self._together(grads))
            if not ctx.input_grad:
                return dparams, None
            return dparams, self._together(dxs) if self._reads_items else total_of(dxs)

        return y, pullback_all

    def _each(self, params: Tree, x: Any) -> Any:
        """Return the parts with their params and what they read."""
        return zip(self._parts, self._own(params), self._read(x), strict=True)

    def _read(self, x: Any) -> list[Any]:
        """Return what each layer reads of x, or of its shape."""
        if not self._reads_items:
            return [x] * len(self._parts)
        items = set(x) if isinstance(x, dict) else set(range(len(x)))
        if isinstance(x, np.ndarray) or is_shape(x) or items != set(self._keys):
            expected = f"a {'dict' if self._in_dict else 'tuple'} of {self._keys}"
            raise ShapeError(f"expected {expected} for {self._name}, got {_described(x)}")
        return [x[key] for key in self._keys]

    def _own(self, params: Any) -> Sequence[Tree]:
        """Return each layer's params, those of shared layers restored."""
        if not self._in_dict:
            own = check_params(params, len(self._parts))
            return self._ties.restore(own) if self._ties else own
        if type(params) is not dict or set(params) != set(self._keys):
            raise TreeError(f"expected params made by init, a dict of {self._keys}")
        restored = self._ties.restore(params)
        return [restored[key] for key in self._keys]

    def _together(self, items: Sequence[Any]) -> Tree:
        return dict(zip(self._keys, items, strict=True)) if self._in_dict else tuple(items)


def _described(x: Any) -> str:
    if isinstance(x, dict):
        return f"a dict of {sorted(x)}"
    if isinstance(x, np.ndarray):
        return f"an array of shape {x.shape}"
    return f"the shape {x}" if is_shape(x) else f"a tuple of {len(x)}"


def joining(name: str, branches: Sequence[Layer], join: Join) -> Triple:
    """Return the triple of ``join(branches(x))``, or of ``join(x)`` where there is no branch."""
    check_layers(name, branches)
    if branches:
        return SideBySide(name, parts_in_order(name, branches), join).triple

    def init(key: Key, shape: Any) -> tuple[tuple[()], Any]:
        return (), join.shape(_items(name, shape))

    def apply(params: tuple[()], x: Any, ctx: Context = EVAL) -> Any:
        return join.value(_items(name, x))

    def vjp(params: tuple[()], x: Any, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        y, pull = join.vjp(_items(name, x))
        keys = sorted(x) if isinstance(x, dict) else None

        def pullback(dy: Any) -> tuple[tuple[()], Any]:
            dxs = pull(dy)
            return (), tuple(dxs) if keys is None else dict(zip(keys, dxs, strict=True))

        return y, pullback

    return init, apply, vjp


def _items(name: str, x: Any) -> list[Any]:
    """Return the items of a tuple or dict of arrays, or of shapes."""
    if isinstance(x, dict) and x:
        return [x[key] for key in sorted(x)]
    if isinstance(x, tuple) and x and not is_shape(x):
        return list(x)
    got = f"an array of shape {x.shape}" if isinstance(x, np.ndarray) else f"{x!r}"
    raise ShapeError(f"expected a tuple or dict of arrays for {name}(), got {got}")
