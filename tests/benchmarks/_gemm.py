"""The limit: how fast this machine's BLAS multiplies matrices of float32."""

from __future__ import annotations

import numpy as np
from _serve import Run, serve
from threadpoolctl import threadpool_limits

SIZE = 1536


def prepare(threads: int) -> Run:
    threadpool_limits(threads, user_api="blas")
    a = np.random.default_rng(0).random((SIZE, SIZE), dtype=np.float32)
    out = np.empty_like(a)

    def run(k: int) -> None:
        for _ in range(k):
            np.matmul(a, a, out=out)

    return run


if __name__ == "__main__":
    serve(prepare)
