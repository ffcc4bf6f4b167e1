"""The global generators of NumPy and Python, and NumPy's settings, watched.

Nothing may draw from the generators or seed them, or leave other settings behind. This is the
one module that touches them; each function puts them back as it found them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def _state() -> Any:
    kind, words, *rest = np.random.get_state()  # noqa: NPY002 (watched, not used)
    return (kind, np.asarray(words).tobytes(), *rest), random.getstate()


def _settings() -> Any:
    return np.geterr(), np.get_printoptions(), np.getbufsize()


@contextmanager
def kept() -> Iterator[None]:
    """Put the global generators, and how NumPy treats errors, back at the end."""
    numpys, pythons, errors = np.random.get_state(), random.getstate(), np.geterr()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(numpys)  # noqa: NPY002
        random.setstate(pythons)
        np.seterr(**errors)


def global_problem(run: Callable[[], str]) -> str:
    """Run twice, from two states of the global generators; return what that shows.

    ``run`` returns a digest of its results.
    """
    digests = []
    with kept():
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            before, settings = _state(), _settings()
            digests.append(run())
            if _state() != before:
                return "a global generator, np.random's or random's, was drawn from or seeded"
            if _settings() != settings:
                return "a setting of NumPy, np.seterr's or the like, was left changed"
    if digests[0] != digests[1]:
        return "the results depend on the state of a global generator"
    return ""
