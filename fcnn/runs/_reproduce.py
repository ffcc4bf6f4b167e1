"""`reproduce`: compute a run again, and compare the bits."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from fcnn import train, tree
from fcnn._check import whole
from fcnn._doors import check_function
from fcnn._folder import RunFolder, read
from fcnn._folder._session import session
from fcnn._folder._sources import check
from fcnn._layer import Layer
from fcnn.checkpoint import load
from fcnn.errors import ArgumentError, DataError
from fcnn.losses import Loss
from fcnn.optim import Optimizer

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fcnn.data import Dataset


@attrs.frozen(repr=False)
class Reproduction:
    """Whether a run that was computed again has the same bits; prints as text.

    Attributes:
        same: whether the params have the same bits after every epoch that was compared.
        epochs: how many were compared.
        first: the first epoch whose params differ; None if there is none.
        before: the numbers of the last epoch that was compared, as the folder has them.
        now: the same, computed now.
        differences: what of the fingerprint differs, ``name: (before, now)``: versions, BLAS
            kernel, machine, probe, commit.
        params: those after the last epoch.
    """

    same: bool
    epochs: int
    first: int | None
    before: Mapping[str, Any] = attrs.field(hash=False)
    now: Mapping[str, Any] = attrs.field(hash=False)
    differences: Mapping[str, tuple[Any, Any]] = attrs.field(hash=False)
    params: Any = attrs.field(eq=False)

    def __bool__(self) -> bool:
        return self.same

    def __str__(self) -> str:
        plural = "s" if self.epochs != 1 else ""
        if self.same:
            lines = [f"the same bits in {self.epochs} epoch{plural}"]
        else:
            lines = [f"other bits from epoch {self.first} on, of {self.epochs} epoch{plural}"]
            lines += [
                f"  {name}: {self.before[name]!r} before, {self.now[name]!r} now"
                for name in self.now
                if name in self.before and self.before[name] != self.now[name]
            ]
        if self.differences:
            lines.append("what differs of versions, machine and commit:")
            lines += [f"  {name}: {a}, now {b}" for name, (a, b) in self.differences.items()]
        elif not self.same:
            lines.append(
                "versions, machine and commit are the same: look for what the folder cannot hold, "
                "functions of your own and changed files"
            )
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def reproduce(
    run: str | os.PathLike[str],
    *,
    data: Dataset[Any, Any] | None = None,
    validation: Dataset[Any, Any] | None = None,
    model: Layer | None = None,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    augment: Any = None,
    metrics: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    executor: Executor | None = None,
    modules: Collection[str] = (),
    log: Callable[[str], object] | None = print,
) -> Reproduction:
    """Compute a run of `fcnn.fit` again, and compare the bits.

    The params are compared by their SHA-256 after each epoch. If they differ, the result lists the
    items of the fingerprint that differ: versions, the BLAS kernel, the probe, the git commit.
    Nothing is written.

    Args:
        run: the folder of a run.
        data: its data, where they are no set of `fcnn.data`.
        validation: its validation data, likewise.
        model: the model, where the folder cannot hold it: it was made of functions that no module
            has, or no constructor made it.
        loss: the loss, likewise.
        optimizer: the optimizer, likewise.
        augment: the augmentation, likewise.
        metrics: the metrics, likewise.
        epochs: compare the first epochs alone; by default all that the folder has.
        executor: see `fcnn.fit`; the bits are the same for all.
        modules: where constructors and functions may be looked up by name, besides fcnn.
        log: takes a line for each epoch; None is silent.

    Raises:
        ArgumentError: if the run was not made by `fcnn.fit`, or something is missing.
        DataError: if the data are others, or the folder is no run, or one without an epoch.
        TreeError: if a name is neither in fcnn nor in the modules.

    >>> import fcnn, tempfile
    >>> from fcnn.data import mnist
    >>> model, loss = fcnn.serial(fcnn.flatten, fcnn.dense(10)), fcnn.losses.softmax_cross_entropy
    >>> digits, sgd, key = mnist("train", 100), fcnn.optim.sgd(0.1), fcnn.key(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/first"
    ...     run = fcnn.fit(model, loss, sgd, digits, key=key, epochs=2, run=path, log=None)
    ...     again = fcnn.reproduce(path, log=None)
    >>> print(again)
    the same bits in 2 epochs
    """
    folder = read(run)
    check_function(log, "log", "of a line")
    given = {"model": model, "loss": loss, "optimizer": optimizer}
    args = folder.arguments(modules, **given, augment=augment, metrics=metrics)
    fit = folder.config["fit"]
    found = {
        name: _data(folder, name, each)
        for name, each in (("data", data), ("validation", validation))
        if fit[name] is not None
    }
    lines = {row["epoch"]: row for row in folder.metrics if "digest" in row}
    if not lines:
        raise DataError(f"expected a complete epoch in the run {folder.path}, got none")
    last = min(max(lines), args["epochs"])
    last = last if epochs is None else min(last, whole(epochs, "epochs"))
    settings = {k: args[k] for k in ("batch_size", "drop_last", "augment", "metrics")}
    passes = train.epochs(
        args["model"],
        args["loss"],
        args["optimizer"],
        found["data"],
        _first(folder, args, found["data"], modules),
        epochs=last,
        validation=found.get("validation"),
        shard_size=args["shard_size"],
        changed=tuple(fit["changed"]),
        executor=executor,
        progress=log is not None,
        **settings,
    )
    return _compared(passes, lines, folder, log)


def _data(folder: RunFolder, name: str, given: Any) -> Any:
    held = folder.config["fit"][name]
    found = folder.data(name) if given is None else given
    if found is None:
        raise ArgumentError(
            f"expected the {name} of the run {folder.path}, {held['printed']}, which are no set of "
            f"fcnn.data; pass {name}="
        )
    check(found, held, name)
    return found


def _first(folder: RunFolder, args: Mapping[str, Any], data: Any, modules: Any) -> train.State:
    """Return the state that the run began with."""
    kind = folder.config["fit"]["start"]
    start: Any = None if kind is None else load(folder.path / "start.npz", modules=modules)
    if kind == "state":
        if not isinstance(start, train.State):
            raise DataError(f"expected a State in start.npz, got {type(start).__name__}")
        return start
    return train.init(args["model"], args["optimizer"], data, args["key"], params=start)


def _compared(
    passes: Any, lines: Mapping[int, Mapping[str, Any]], folder: RunFolder, log: Any
) -> Reproduction:
    first, count, epoch = None, 0, None
    for epoch in passes:
        if epoch.number not in lines:
            continue
        count += 1
        same = tree.digest(epoch.params)[:16] == lines[epoch.number]["digest"]
        if not same and first is None:
            first = epoch.number
        if log is not None:
            log(f"{epoch}  {'the same bits' if same else 'other bits'}")
    if epoch is None:
        raise DataError(f"expected an epoch to compare in the run {folder.path}, got none")
    row = lines.get(epoch.number, {})
    now = epoch.cells()
    before = {name: row[name] for name in now if name in row}
    return Reproduction(
        first is None, count, first, before, now, _fingerprint(folder), epoch.params
    )


def _fingerprint(folder: RunFolder) -> dict[str, tuple[Any, Any]]:
    """Return what differs between here and any time that the run was computed."""
    here = _items(session())
    found: dict[str, tuple[Any, Any]] = {}
    for each in folder.config["sessions"]:
        there = _items(each)
        for name in dict.fromkeys([*there, *here]):
            if there.get(name) != here.get(name):
                found.setdefault(name, (there.get(name), here.get(name)))
    return found


def _items(session: Mapping[str, Any]) -> dict[str, Any]:
    git = session.get("git") or {}
    changed = " with changes" if git.get("changed") else ""
    return {**session["environment"], "commit": f"{git['commit']}{changed}" if git else None}
