"""The arrays of a file as modules: the layers of another framework, by name, as a tree.

A module is what has arrays of its own: ``layer1.0.conv1`` has ``weight`` and ``bias``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import attrs
import numpy as np

from fcnn.errors import DataError
from fcnn.weights._stored import Stored

Convention: TypeAlias = Literal["torch", "keras", "flax"]
"""Whose names and layouts a file's arrays have."""

_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_COUNTERS = {"num_batches_tracked", "n_averaged"}


@attrs.frozen(eq=False)
class Module:
    """A layer in a file.

    Attributes:
        name: its name.
        arrays: its arrays by their names within it.
        facts: the hyper-parameters that the file tells, by fcnn's names.
        channels_last: whether a flattening in front of it had the channels last; None if the file
            does not tell.
    """

    name: str
    arrays: dict[str, Stored]
    facts: dict[str, Any] = attrs.field(factory=dict)
    channels_last: bool | None = False


@attrs.frozen(eq=False)
class Source:
    """What a file holds.

    Attributes:
        convention: whose names and layouts these are.
        modules: the modules.
        ordered: whether their order is that in which the framework made or runs them.
        ignored: names of arrays that are no weights: counters, an optimizer's state.
        repeated: names of modules whose arrays are all those of one before.
    """

    convention: Convention
    modules: list[Module]
    ordered: bool
    ignored: list[str] = attrs.field(factory=list)
    repeated: frozenset[str] = frozenset()


def cleaned(arrays: Mapping[str, Stored], separator: str, prefix: str | None) -> dict[str, Stored]:
    """Return the arrays without what wrappers put in front of names, weight norm computed.

    Args:
        arrays: by name.
        separator: what stands between the parts of a name.
        prefix: take only names that begin with it, and leave it out.

    Raises:
        DataError: if two names are the same then, or no name begins with the prefix.
    """
    if prefix is not None:
        kept = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        if not kept:
            names = ", ".join(list(arrays)[:3])
            raise DataError(f"expected names that begin with {prefix!r}, got {names:.200}, ...")
        arrays = kept
    found: dict[str, Stored] = {}
    for name, array in arrays.items():
        short = separator.join([p for p in name.split(separator) if p not in _WRAPPERS])
        if short in found:
            raise DataError(f"expected names that differ without wrappers, got {short!r:.80} twice")
        found[short] = array
    head = f"module{separator}"
    while found and all(name.startswith(head) for name in found):
        found = {name.removeprefix(head): array for name, array in found.items()}
    return _without_weight_norm(found)


def _without_weight_norm(arrays: dict[str, Stored]) -> dict[str, Stored]:
    """Return the arrays with ``weight = v · g / ‖v‖`` in the place of v and g."""
    made: dict[str, Stored] = {}
    for name, array in arrays.items():
        pair = _weight_norm_pair(name)
        if pair is None or not {pair[1], pair[2]} <= set(arrays):
            made[name] = array
        else:
            weight, g, v = pair
            made.setdefault(weight, _normed(arrays[g], arrays[v]))
    return made


def _weight_norm_pair(name: str) -> tuple[str, str, str] | None:
    """Return the names of the weight, of g and of v; None if it is neither g nor v."""
    for g, v, weight in (
        ("weight_g", "weight_v", "weight"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1", "weight"),
    ):
        for end in (g, v):
            if name == end or name.endswith(f".{end}"):
                head = name.removesuffix(end)
                return head + weight, head + g, head + v
    return None


def _normed(g: Stored, v: Stored) -> Stored:
    if len(g.shape) not in (0, len(v.shape)):
        raise DataError(f"expected a length for each filter of {v.shape}, got {g.shape}")

    def read() -> np.ndarray:
        length, direction = g.read(), v.read()
        axes = tuple([i for i in range(direction.ndim) if not g.shape or g.shape[i] == 1])
        squares = np.square(direction, dtype=np.float64).sum(axis=axes, keepdims=True)
        product: np.ndarray = direction * (length / np.sqrt(squares)).astype(direction.dtype)
        return product

    return Stored(v.shape, read)


def grouped(arrays: Mapping[str, Stored], separator: str) -> tuple[list[Module], list[str]]:
    """Return the modules in the order of their first arrays, and the names of counters."""
    groups: dict[str, dict[str, Stored]] = {}
    ignored = []
    for name, array in arrays.items():
        module, _, own = name.rpartition(separator)
        if own in _COUNTERS:
            ignored.append(name)
        else:
            groups.setdefault(module, {})[own] = array
    return [Module(name, own) for name, own in groups.items()], ignored


def without_wrapper(made: Any, prefix: str | None) -> tuple[dict[str, Stored], list[str]]:
    """Return the tensors of what `torch.save` was given, and what else was in it.

    A checkpoint holds the state_dict beside other things: the epoch, the optimizer's state. Its
    tensors are those of the only dict in it that holds tensors and nothing else.

    Raises:
        DataError: if there are no tensors, or several such dicts and no prefix that says which.
    """
    if not isinstance(made, dict):
        raise DataError(f"expected a state_dict of tensors, got {type(made).__name__}")
    flat = {str(name): each for name, each in made.items() if isinstance(each, Stored)}
    rest = [str(name) for name, each in made.items() if not isinstance(each, Stored)]
    if flat:
        return flat, rest
    inner = {str(name): each for name, each in made.items() if _is_state(each)}
    if prefix is not None:
        chosen = [name for name in inner if prefix.startswith(f"{name}.")]
        inner = {name: inner[name] for name in chosen} or inner
    if len(inner) > 1:
        raise DataError(
            f"expected one state_dict in the file, got {', '.join(inner):.200}; "
            f'say which with prefix="{next(iter(inner))}."'
        )
    for name, state in inner.items():
        head = f"{name}." if prefix is not None and prefix.startswith(f"{name}.") else ""
        found = {head + str(key): each for key, each in state.items() if isinstance(each, Stored)}
        return found, [each for each in map(str, made) if each != name]
    raise DataError("expected a state_dict of tensors, got none; save model.state_dict()")


def _is_state(made: Any) -> bool:
    if not isinstance(made, dict) or not made:
        return False
    return all(isinstance(each, Stored) for each in made.values())


def by_size(arrays: Mapping[str, Stored]) -> str:
    """Return names and shapes for a message."""
    return ", ".join(f"{name} {each.shape}" for name, each in arrays.items())
