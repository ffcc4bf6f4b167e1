"""Which module of a file belongs to which layer of a model.

Both are nested: a model's layers stand one after the other, or side by side in an order that a
file need not share; a file's modules belong to modules, whose own stand together. A match is a way
through both, from front to back, on which each module has the arrays that the layer needs. If two
ways match different pairs, the file does not say which is meant.

Where a file's order says nothing (names are sorted in ``.safetensors``, and by JAX), modules of
one parent may come in any order, except that numbers rise: ``conv1`` before ``conv2``. A second
assumption is tried first: that kinds of one number have one order throughout, ``conv1, bn1`` in
one place and ``conv2, bn2`` in another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import attrs

from fcnn.weights._modules import Module
from fcnn.weights._rules import Target

LEAF, SEQ, ANY, FREE, FLOAT = "leaf", "seq", "any", "free", "float"
Item: TypeAlias = tuple[Any, ...]
"""``(kind, content, ...)``: a leaf; items in order; in any order; by names; a leaf among others."""
Stack: TypeAlias = "tuple[Item, Stack] | None"
Fits: TypeAlias = Callable[[Target, Module], bool]
Pairs: TypeAlias = list[tuple[Target, Module]]

_BUDGET = 100_000
_NUMBERED = re.compile(r"(.*?)[_.]?(\d+)")


@attrs.frozen(eq=False)
class Named:
    """A module of a file, or a part of its name: a child of its parent."""

    key: str
    module: Module | None
    children: tuple[Named, ...]
    parent: int

    @property
    def stem(self) -> str:
        """The name without its number."""
        found = _NUMBERED.fullmatch(self.key)
        return self.key if found is None else found[1]

    @property
    def number(self) -> int:
        """The number at its end; -1 without."""
        found = _NUMBERED.fullmatch(self.key)
        return -1 if found is None else int(found[2][:18])


def nested(modules: Sequence[Module], separator: str) -> Named:
    """Return modules as a tree by their names."""
    made: dict[Any, Any] = {}
    for module in modules:
        at = made
        for step in module.name.split(separator) if module.name else []:
            at = at.setdefault(step, {})
        at[None] = module
    return _named("", made, [0])


def _named(key: str, made: dict[Any, Any], count: list[int]) -> Named:
    own = made.get(None)
    count[0] += 1
    here = count[0]
    children = [_named(step, child, count) for step, child in made.items() if step is not None]
    children = [attrs.evolve(child, parent=here) for child in children]
    return Named(key, own, tuple(children), 0)


def as_item(named: Named, ordered: bool) -> Item:
    """Return a tree of names as the search takes it."""
    inner: Item
    if ordered:
        inner = (SEQ, tuple([as_item(child, True) for child in named.children]))
    else:
        inner = (FREE, named.children)
    if named.module is None:
        return inner
    leaf = (LEAF, named.module, named)
    return (FLOAT, leaf, inner) if named.children else leaf


def search(grammar: Item, names: Named, fits: Fits, ordered: bool) -> list[Pairs]:
    """Return the pairs of layers and modules: none if none fit, two if there are two ways."""
    tries = [(False, True), (False, False)]
    for in_order, consistent in [(True, True), *tries] if ordered else tries:
        found = _search(grammar, as_item(names, in_order), fits, consistent)
        if found:
            return found
    return []


def _search(grammar: Item, modules: Item, fits: Fits, consistent: bool) -> list[Pairs]:
    """Walk through both with an explicit stack of choices."""
    known: set[Any] = set()
    found: dict[Any, Pairs] = {}
    pairs: Pairs = []
    choices = [_choices((grammar, None), (modules, None), fits, {} if consistent else None)]
    for _ in range(_BUDGET):
        if not choices or len(found) > 1:
            break
        step = next(choices[-1], None)
        if step is None:
            choices.pop()
            if pairs:
                pairs.pop()
        elif step is True:
            found[_key(pairs)] = list(pairs)
        else:
            target, module, rest_of_targets, rest_of_modules, decided = step
            state = None if decided is None else frozenset(decided)
            key = _key([*pairs, (target, module)]), id(target), id(module), state
            if key not in known:
                known.add(key)
                pairs.append((target, module))
                choices.append(_choices(rest_of_targets, rest_of_modules, fits, decided))
    return list(found.values())


def _key(pairs: Pairs) -> Any:
    return frozenset([(id(target), id(module)) for target, module in pairs])


def _choices(targets: Stack, modules: Stack, fits: Fits, decided: Any) -> Iterator[Any]:
    """Yield what may come next; True if nothing is left."""
    t_heads, m_heads = list(_heads(targets)), list(_heads(modules))
    if not t_heads and not m_heads:
        yield True
    for leaf, rest_of_targets in t_heads:
        for (_, module, named, siblings), rest_of_modules in m_heads:
            if fits(leaf[1], module):
                now = decided if decided is None else _decide(decided, named, siblings)
                if now is not None or decided is None:
                    yield leaf[1], module, rest_of_targets, rest_of_modules, now


def _heads(stack: Stack, siblings: tuple[Named, ...] = ()) -> Iterator[tuple[Any, Stack]]:
    """Yield each leaf that may come first, and what is left behind it."""
    if stack is None:
        return
    item, rest = stack
    kind, content = item[0], item[1]
    if kind == LEAF:
        yield (*item, siblings), rest
    elif kind == SEQ:
        for child in reversed(content):
            rest = (child, rest)
        yield from _heads(rest, siblings if len(content) == 1 else ())
    elif kind == FLOAT:
        if not _is_empty(item[2]):
            for leaf, left in _heads((item[2], None)):
                yield leaf, ((FLOAT, content, (SEQ, tuple(_listed(left)))), rest)
        yield (*content, ()), (item[2], rest)
    elif all(_is_empty(each) for each in _inner(item)):
        yield from _heads(rest)
    else:
        yield from _any_first(item, rest)


def _listed(stack: Stack) -> Iterator[Item]:
    while stack is not None:
        yield stack[0]
        stack = stack[1]


def _any_first(item: Item, rest: Stack) -> Iterator[tuple[Any, Stack]]:
    kind, content = item[0], item[1]
    for i, each in enumerate(content):
        others = content[:i] + content[i + 1 :]
        left = ((kind, others), rest) if others else rest
        if kind == ANY:
            if not _is_empty(each):
                yield from _heads((each, left))
        elif not any(o.stem == each.stem and o.number < each.number for o in others):
            yield from _heads((as_item(each, False), left), others)


def _inner(item: Item) -> Sequence[Item]:
    return item[1] if item[0] == ANY else [(LEAF,)] * len(item[1])


def _is_empty(item: Item) -> bool:
    """Return whether there is no leaf in an item."""
    if item[0] in (SEQ, ANY):
        return all(_is_empty(each) for each in item[1])
    return item[0] == FREE and not item[1]


def _decide(decided: Any, named: Named, siblings: Sequence[Named]) -> Any:
    """Return the orders of kinds of one number with those that this choice says; None if others."""
    if named.number < 0:
        return decided
    said = dict(decided)
    for other in siblings:
        if other.number == named.number and other.module is not None and not other.children:
            if said.get((other.stem, named.stem)):
                return None
            said[named.stem, other.stem] = True
    return said
