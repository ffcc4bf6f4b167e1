"""Whether a value is one: it pickles, compares, and prints as the call that makes it."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np

from fcnn._value import Value, values_in


def importable(value: Value) -> bool:
    """Whether Python can find every constructor by its name, as pickling needs."""
    made_by = [each.spec.constructor for each in values_in(value)]
    return all(
        "<locals>" not in each.__qualname__ and each.__module__ not in ("__main__", "builtins")
        for each in made_by
    )


def copy_of(value: Value) -> Any:
    """Return the value's copy by pickle."""
    return pickle.loads(pickle.dumps(value))


def value_problem(value: Any) -> str:
    """Return what keeps ``value`` from being one; empty if nothing."""
    if not isinstance(value, Value):
        return ""
    if importable(value):
        try:
            copy = copy_of(value)
        except Exception as error:
            return f"it does not pickle: {type(error).__name__}: {error}"
        if copy != value or hash(copy) != hash(value) or repr(copy) != repr(value):
            return f"its copy by pickle is another one, {copy!r}"
    again = _evaluated(value)
    return "" if again == value else f"{value!r} evaluates to something else, {again!r}"


def _evaluated(value: Value) -> Any:
    """Return what the value's text evaluates to; the value itself where it cannot be evaluated."""
    names: dict[str, Any] = {"np": np, "array": np.array, "inf": np.inf, "nan": np.nan}
    names.update({"float32": np.float32, "float64": np.float64, "int64": np.int64})
    for each in values_in(value):
        found = each if each.spec.is_name else each.spec.constructor
        if names.setdefault(each.spec.name, found) is not found:
            return value  # two constructors of one name: no namespace could hold both
    with np.printoptions(threshold=sys.maxsize, floatmode="unique", precision=17):
        text = repr(value)
    try:
        return eval(text, names)
    except (NameError, SyntaxError, AttributeError):
        return value  # an argument is something that Python cannot print as an expression
