"""`load`: a file's arrays as the params of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from fcnn._layer import Layer
from fcnn._typing import Tree
from fcnn.checkpoint._save import PathLike
from fcnn.errors import ArgumentError, DataError, ShapeError, TreeError
from fcnn.weights._facts import differences
from fcnn.weights._match import Match, match
from fcnn.weights._modules import Module
from fcnn.weights._open import opened
from fcnn.weights._rules import Slot, Target
from fcnn.weights._stored import Stored, reading
from fcnn.weights._targets import Model, put, targets_of


@attrs.frozen(eq=False)
class Loaded:
    """What `load` found.

    Attributes:
        params: the model's params.
        names: the file's module of each layer, by the layer's name. `save` takes it.
        dropped: arrays of the file that are not in the params.
        filled: arrays of the params that are not in the file.
        ambiguous: layers that may belong to another module as well.
        differing: hyper-parameters that are others in the file than in the model.
        ignored: what is no weight: counters, an optimizer's state, other entries of a checkpoint.
    """

    params: Tree
    names: dict[str, str]
    dropped: list[str]
    filled: list[str]
    ambiguous: list[str]
    differing: list[str]
    ignored: list[str]


def load(
    path: PathLike,
    model: Layer,
    shape: Any,
    *,
    strict: bool = True,
    prefix: str | None = None,
    names: Mapping[str, str] | None = None,
) -> Loaded:
    """Read weights that another framework wrote, as the params of a model.

    The kind of file is that of its ending: PyTorch's ``.pt``, ``.pth``, ``.bin`` and ``.ckpt``,
    ``.safetensors`` of PyTorch or tinygrad, Keras's ``.keras``, ``.weights.h5``, ``.h5`` and
    ``.hdf5``, Flax's ``.msgpack``, and ``.onnx`` (needs onnx, which is in the extra ``weights``).
    What was proved of which version of each framework is in ``fcnn/weights/WEIGHTS.md``.

    Layers and the file's modules are matched by their names if each layer's is there (those of
    `named` layers, and places, as in PyTorch's Sequential: ``"0"``, ``"3"``), else by their order
    and shapes; branches may be in another order. Layouts are changed to fcnn's, and the rows of a
    dense layer behind ``flatten`` put in its order: here channels are last.

    Nothing in a file is executed, and it takes about its own size of memory. Of the kinds, ``.pt``
    since PyTorch 1.6 and ``.keras`` have a checksum; in others numbers may be damaged unnoticed.

    A PyTorch file does not tell padding, stride or eps: write the model with the numbers of the
    original. A padding of 1 is not ``"same"`` where the stride is 2.

    Args:
        path: the file.
        model: the model.
        shape: the shape of one example.
        strict: refuse a file if anything is dropped, filled, ambiguous or differing. If False,
            take what fits; what is missing is as ``model.init(fcnn.key(0), shape)`` makes it,
            but for what the other framework computes without: a bias of 0, a scale of 1.
        prefix: take only names that begin with this, and leave it out: ``"backbone."``.
        names: the file's module of a layer, by the layer's name, where neither names nor order
            tell: ``{"conv1": "features.0"}``.

    Returns:
        The params, with a list of each kind of difference.

    Raises:
        OSError: if there is no such file.
        ArgumentError: if its ending is none of these.
        DataError: if it is damaged, or holds what is not read; a class by its name.
        TreeError: if the arrays are not those of the model, or a layer has no rule.

    >>> import fcnn, tempfile
    >>> model = fcnn.serial(fcnn.conv2d(4, 3), fcnn.relu, fcnn.flatten, fcnn.dense(2))
    >>> params, _ = model.init(fcnn.key(0), (5, 6, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/net.safetensors"
    ...     fcnn.weights.save(path, model, params, shape=(5, 6, 1))
    ...     found = fcnn.weights.load(path, model, (5, 6, 1))
    >>> found.params == params, found.names
    (True, {'0': '0', '3': '3'})
    """
    path = Path(path).expanduser()
    with opened(path, prefix, shape) as source:
        target_model = targets_of(model, shape, source.convention)
        found = match(target_model, source, names or {}, strict=strict)
        report = _Report(ignored=list(source.ignored))
        arrays = _arrays(found, report, path.suffix)
    missing = [target for target in target_model.targets if id(target) not in found.matched]
    report.filled += [_full(t.name, field) for t in missing for field in t.shapes]
    report.dropped += [_full(m.name, own) for m in found.dropped for own in m.arrays]
    report.ambiguous += found.ambiguous
    report.ambiguous += [
        f"{target.name or target.path}: the file does not tell whether {module.name} reads pixels "
        f"or channels first"
        for target, module in found.pairs
        if module.channels_last is None and target.rows is not None
    ]
    if strict:
        report.check()
    _fill(arrays, target_model, lambda: model.init(_key(), shape)[0])
    params = put(target_model, _of_one_dtype(arrays))
    pairs = {target.name: module.name for target, module in found.pairs}
    return Loaded(params, pairs, **attrs.asdict(report))


def _key() -> Any:
    from fcnn.prng import key

    return key(0)


@attrs.define
class _Report:
    dropped: list[str] = attrs.field(factory=list)
    filled: list[str] = attrs.field(factory=list)
    ambiguous: list[str] = attrs.field(factory=list)
    differing: list[str] = attrs.field(factory=list)
    ignored: list[str] = attrs.field(factory=list)

    def check(self) -> None:
        """Refuse a file that is not the model's."""
        advice = {
            "dropped": "arrays of the file that are in no layer",
            "filled": "arrays of the model that are not in the file",
            "ambiguous": "one module for each layer; say which with names=",
            "differing": "the hyper-parameters of the file; write the model with them",
        }
        for kind, meaning in advice.items():
            each = getattr(self, kind)
            if each:
                expected = "no " if kind in ("dropped", "filled") else ""
                more = f" and {len(each) - 3} more" if len(each) > 3 else ""
                raise TreeError(
                    f"expected {expected}{meaning}, got {'; '.join(each[:3])}{more}; "
                    f"strict=False takes it as it is, and lists this as {kind}"
                )


def _full(module: str, own: str) -> str:
    return f"{module}.{own}" if module else own


def _arrays(found: Match, report: _Report, kind: str) -> dict[str, np.ndarray]:
    """Return the arrays of the params by their paths, each converted as it is read."""
    arrays = {}
    for target, module in found.pairs:
        used = set()
        for slot in found.slots(target, module):
            name = _name_of(slot, module)
            if name is not None:
                used.add(name)
                with reading(kind):
                    array = _converted(module.arrays[name], slot, _full(module.name, name))
                arrays[_place(target, slot)] = array
                continue
            report.filled.append(_full(target.name, slot.field))
            if slot.fill is not None:
                shape = target.shapes[slot.field]
                arrays[_place(target, slot)] = np.full(shape, slot.fill, np.float32)
        report.dropped += [_full(module.name, n) for n in module.arrays if n not in used]
        report.differing += [
            f"{target.path}: {each}" for each in _differences(target, module, kind)
        ]
    return arrays


def _name_of(slot: Slot, module: Module) -> str | None:
    """Return which of a module's arrays belongs in a slot; None if none of its shape does."""
    name = next((n for n in slot.names if n in module.arrays), None)
    if name is None or module.arrays[name].shape not in (slot.shape, *slot.others):
        return None
    return name


def _differences(target: Target, module: Module, kind: str) -> list[str]:
    """Return the hyper-parameters that differ; refuse those that are none."""
    try:
        with reading(kind):
            return differences(target, module)
    except (ArgumentError, ShapeError) as error:
        raise DataError(f"expected hyper-parameters of {module.name!r:.60}, got {error}") from None


def _place(target: Target, slot: Slot) -> str:
    dot = "" if slot.field.startswith("[") or not slot.field else "."
    return f"{target.params_path}{dot}{slot.field}"


def _converted(stored: Stored, slot: Slot, name: str) -> np.ndarray:
    array = stored.read()
    if array.dtype.kind != "f":
        raise DataError(f"expected floats in {name!r:.80}, got {array.dtype}")
    dtype = np.float64 if array.dtype.itemsize == 8 else np.float32
    array = slot.load(array.reshape(slot.shape))
    # A view of the file cannot be written to; what can be is new, and needs no copy.
    return np.array(array, dtype, order="C", copy=None if array.flags.writeable else True)


def _fill(arrays: dict[str, Any], model: Model, drawn: Callable[[], Tree]) -> None:
    from fcnn import tree

    missing = [path for path in tree.paths(model.params) if path not in arrays]
    if missing:
        new = drawn()
        found = dict(zip(tree.paths(new), tree.leaves(new), strict=True))
        arrays.update({path: found[path] for path in missing})


def _of_one_dtype(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return float64 arrays if one is, since a layer has one precision."""
    kinds = {each.dtype for each in arrays.values()}
    if len(kinds) < 2:
        return arrays
    return {path: each.astype(np.float64, copy=False) for path, each in arrays.items()}
