"""Arguments that a function does not take, refused with the name that was meant."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

_OTHER_NAMES = {
    "kernel": "kernel_size",
    "window": "pool_size",
    "pool": "pool_size",
    "strides": "stride",
    "epsilon": "eps",
    "lr": "learning_rate",
    "rate": "learning_rate",
    "features": "filters",
    "channels": "filters",
    "out_channels": "filters",
    "out_features": "units",
    "p": "rate",
    "beta1": "b1",
    "beta2": "b2",
    "beta_1": "b1",
    "beta_2": "b2",
    "kernel_init": "weight_init",
    "kernel_initializer": "weight_init",
    "bias_initializer": "bias_init",
    "use_bias": "bias",
    "dilation_rate": "dilation",
    "alpha": "decay",
    "where": "mask",
    "limit": "max_norm",
}
"""What other libraries call an argument, and what it is called here."""

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def check_call(
    name: str,
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    remedies: Mapping[str, str],
    surplus: str,
) -> None:
    """Refuse arguments that a function does not take.

    Raises:
        TypeError: with the nearest name, a remedy by name, or what to do with surplus arguments.
    """
    known = signature.parameters
    by_place = [each for each, p in known.items() if p.kind in _BY_PLACE]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in known.values())
    if len(args) > len(by_place) and not takes_any:
        names = f" ({', '.join(by_place)})" if by_place else ""
        raise TypeError(
            f"{name}() takes {len(by_place)} positional arguments{names}, "
            f"got {len(args)}; {surplus}"
        )
    unknown = [given for given in kwargs if given not in known]
    if not unknown or any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    import difflib

    other = _OTHER_NAMES.get(unknown[0])
    near = [other] if other in known else difflib.get_close_matches(unknown[0], known, 1, 0.75)
    hint = f"use {near[0]}" if near else f"it takes {', '.join(known) or 'no arguments'}"
    hint = remedies.get(unknown[0], hint)
    raise TypeError(f"{name}() got an unexpected argument {unknown[0]!r}; {hint}")
