"""Layers and modules in pairs: by name, by order and shapes, or as far as they go."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

import attrs

from fcnn.errors import TreeError
from fcnn.weights._modules import Module, Source, by_size
from fcnn.weights._rules import Slot, Target, rule_of
from fcnn.weights._search import Fits, Pairs, nested, search
from fcnn.weights._targets import Model

Slots: TypeAlias = Callable[[Target, Module], Sequence[Slot]]


@attrs.frozen(eq=False)
class Match:
    """Pairs, and what is left.

    Attributes:
        pairs: layers with their modules, in the model's order.
        dropped: modules without a layer.
        ambiguous: layers that have another module in another match.
        slots: returns what a layer needs of a module.
    """

    pairs: Pairs
    dropped: list[Module]
    ambiguous: list[str]
    slots: Slots

    @property
    def matched(self) -> set[int]:
        """The ids of the layers that have a module."""
        return {id(target) for target, _ in self.pairs}


def match(model: Model, source: Source, names: Mapping[str, str], *, strict: bool) -> Match:
    """Return the pairs of layers and modules.

    Raises:
        TreeError: if the modules are not those of the layers; not strict, if none is.
    """
    repeated = source.repeated
    if repeated:  # layers of equal params, or one that the model shares
        source = attrs.evolve(source, repeated=frozenset())
        once = [each for each in source.modules if each.name not in repeated]
        for modules in (source.modules, once):
            with suppress(TreeError):
                tried = attrs.evolve(source, modules=modules)
                return match(model, tried, names, strict=True)
    slots, separator = _slots(), "." if source.convention == "torch" else "/"
    pinned, ordered = _pinned(model, source, names), source.ordered

    def fits(target: Target, module: Module) -> bool:
        wanted = pinned.get(target.name)
        if (wanted or module.name) != module.name:
            return False
        if wanted is None and module.name in pinned.values():
            return False
        return _has_all(slots(target, module), module)

    found = _by_name(model, source, fits)
    ways = [found] if found else []
    named = nested(source.modules, separator)
    if not ways:
        ways = search(model.grammar, named, fits, ordered)
    if len(ways) > 1:
        told = search(model.grammar, named, lambda t, m: fits(t, m) and _is_said(t, m), ordered)
        ways = told if len(told) == 1 else ways
    if not ways and not strict:
        loose = _loosely(slots, pinned)
        ways = search(model.grammar, named, loose, ordered)[:1]
        ways = ways or [_in_common(model.targets, source.modules, fits)]
    if not ways or (source.modules and not ways[0]):
        raise TreeError(_why(model.targets, source, fits, slots))
    taken = {id(module) for _, module in ways[0]}
    order = {id(target): i for i, target in enumerate(model.targets)}
    pairs = sorted(ways[0], key=lambda pair: order[id(pair[0])])
    dropped = [each for each in source.modules if id(each) not in taken]
    return Match(pairs, dropped, _differing(ways), slots)


def _slots() -> Slots:
    """Return a function that asks each layer's rule once."""
    known: dict[tuple[int, bool | None], Sequence[Slot]] = {}

    def slots(target: Target, module: Module) -> Sequence[Slot]:
        key = id(target), module.channels_last
        if key not in known:
            at = attrs.evolve(target, rows=None) if module.channels_last else target
            rule = rule_of(target.layer)
            known[key] = [] if rule is None else rule(at)
        return known[key]

    return slots


def _has_all(slots: Sequence[Slot], module: Module) -> bool:
    """Return whether a module has what a layer needs, and nothing else."""
    taken = set()
    for slot in slots:
        name = next((n for n in slot.names if n in module.arrays), None)
        if name is None:
            if slot.fill is None:
                return False
        elif module.arrays[name].shape not in (slot.shape, *slot.others):
            return False
        taken.add(name)
    return set(module.arrays) <= taken


def _pinned(model: Model, source: Source, names: Mapping[str, str]) -> dict[str, str]:
    """Return the modules of layers that have a name of their own, or that the caller says."""
    own = {target.name for target in model.targets}
    there = {module.name for module in source.modules}
    for layer, module in names.items():
        if layer not in own or module not in there:
            missing, known = (layer, own) if layer not in own else (module, there)
            raise TreeError(
                f"expected names of {', '.join(sorted(known)[:8])}, ..., got {missing!r:.80}"
            )
    by_dots = {module.replace("/", "."): module for module in there}
    found = {n: by_dots[n] for n in own if n in by_dots and not n.replace(".", "").isdigit()}
    return {**found, **names}


def _is_said(target: Target, module: Module) -> bool:
    """Return False if a module has the default name of another norm: ``LayerNorm_0``."""
    last = module.name.replace("/", ".").rpartition(".")[2]
    said = _NORMS.get(
        re.sub(r"_?\d*$", "", last).replace("_", "").lower().removesuffix("alization")
    )
    return said in (None, target.layer.spec.name)


_NORMS = {name.replace("_", ""): name for name in ("layer_norm", "group_norm", "instance_norm")}
_NORMS |= {"rmsnorm": "rms_norm", "batchnorm": "batch_norm"}


def _by_name(model: Model, source: Source, fits: Fits) -> Pairs | None:
    by_name = {module.name.replace("/", "."): module for module in source.modules}
    pairs = [(t, by_name[t.name]) for t in model.targets if t.name in by_name]
    if len(pairs) < len(model.targets) or not pairs:
        return None
    return pairs if all(fits(*pair) for pair in pairs) else None


def _loosely(slots: Slots, pinned: Mapping[str, str]) -> Fits:
    """Return whether a module is of a layer's kind, whatever the sizes."""

    def fits(target: Target, module: Module) -> bool:
        if pinned.get(target.name, module.name) != module.name:
            return False
        needed = [slot for slot in slots(target, module) if slot.fill is None]
        for slot in needed:
            name = next((n for n in slot.names if n in module.arrays), None)
            if name is None:
                return False
            ranks = {len(shape) for shape in (slot.shape, *slot.others)}
            if len(module.arrays[name].shape) not in ranks:
                return False
        known = {name for slot in slots(target, module) for name in slot.names}
        return bool(needed or set(module.arrays) & known)

    return fits


def _in_common(targets: Sequence[Target], modules: Sequence[Module], fits: Fits) -> Pairs:
    """Return the longest common subsequence."""
    n, m = len(targets), len(modules)
    longest = [[0] * (m + 1) for _ in range(n + 1)]
    fit = [[fits(t, module) for module in modules] for t in targets]
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            skip = max(longest[i + 1][j], longest[i][j + 1])
            longest[i][j] = max(skip, longest[i + 1][j + 1] + 1 if fit[i][j] else 0)
    pairs, i, j = [], 0, 0
    while i < n and j < m:
        if fit[i][j] and longest[i][j] == longest[i + 1][j + 1] + 1:
            pairs.append((targets[i], modules[j]))
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _differing(ways: Sequence[Pairs]) -> list[str]:
    if len(ways) < 2:
        return []
    other = {id(target): module for target, module in ways[1]}
    return [
        f"{target.name or target.path}: {module.name} or {other[id(target)].name}"
        for target, module in ways[0]
        if other[id(target)] is not module
    ]


def _why(targets: Sequence[Target], source: Source, fits: Fits, slots: Slots) -> str:
    """Return why there is no match: the first pair in order that does not fit."""
    modules = source.modules
    counts = f"{len(targets)} layers with params in the model, {len(modules)} in the file"
    for target, module in zip(targets, modules, strict=False):
        if not fits(target, module):
            needed = ", ".join([f"{s.names[0]} {s.shape}" for s in slots(target, module)])
            return (
                f"expected {needed:.200} for {target.path or target.layer!r}, got "
                f"{module.name!r:.80} of {by_size(module.arrays):.200} ({counts}); "
                f"change the model, or say names="
            )
    return f"expected an array for each layer, got {counts}; strict=False takes what fits"
