"""Views with strides of their own, checked in one place."""

from __future__ import annotations

import numpy as np

from fcnn._typing import Array


def strided(
    base: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0
) -> Array:
    """Return a view of the contiguous array ``base``: element ``i`` lies at ``offset + i·strides``.

    Offset and strides are in bytes. The elements of the view may overlap. NumPy's constructor
    checks that they all lie within ``base``, which `numpy.lib.stride_tricks.as_strided` does not,
    and that ``base`` is contiguous; a view of a read-only array is read-only.
    The view is of the class of ``base``.

    Raises:
        ValueError: if an element would lie outside ``base``, or ``base`` is not contiguous.
    """
    made = np.ndarray(shape, base.dtype, base, offset, strides)
    return made if type(base) is np.ndarray else made.view(type(base))
