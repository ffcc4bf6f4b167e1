"""What decides the bits of a run besides its program: versions, kernels, and a probe."""

from __future__ import annotations

import hashlib
import importlib
import platform
import sys
from typing import Any

import numpy as np

from fcnn import prng


def environment() -> dict[str, str]:
    """Return the versions and the BLAS kernel of this process, and the digest of a probe.

    Equal names do not promise equal bits, since BLAS may cut a product by the size of a cache,
    so ``probe`` is a digest of what is computed here: products, exp, log1p, tanh and draws.

    >>> import fcnn
    >>> sorted(fcnn.checkpoint.environment())
    ['blas', 'fcnn', 'machine', 'numpy', 'probe', 'python', 'scipy']
    """
    from importlib.metadata import version

    return {
        "fcnn": sys.modules["fcnn"].__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": version("scipy"),
        "blas": _blas(),
        "machine": f"{platform.system()} {platform.machine()}",
        "probe": _probe(),
    }


def _blas() -> str:
    """Return the library, version and kernel of each BLAS that is loaded."""
    from threadpoolctl import ThreadpoolController

    importlib.import_module("scipy.linalg.cython_blas")  # loads SciPy's, which is one of its own
    found = ThreadpoolController().select(user_api="blas").info()
    parts = {
        " ".join(str(each[k]) for k in ("internal_api", "version", "architecture") if each.get(k))
        for each in found
    }
    return ", ".join(sorted(parts)) or "unknown"


def _probe() -> str:
    """Return the first digits of a SHA-256 of a few results in float32 and float64."""
    from fcnn import parallel

    digest = hashlib.sha256()
    for dtype in (np.float32, np.float64):
        x: Any = prng.normal(prng.key(0), (64, 48), dtype=dtype)
        with parallel.one_blas_thread():
            found = [x.T @ x, x @ x.T, x[:5] @ x[:8].T]
        found += [np.exp(x), np.log1p(np.abs(x)), np.tanh(x), x, x.sum(axis=0)]
        for array in found:
            digest.update(array.tobytes())
    return digest.hexdigest()[:16]
