"""Cut a number of places into shards of a bounded size."""

from __future__ import annotations

from itertools import pairwise

from fcnn._check import whole


def cut(n: int, size: int) -> list[slice]:
    """Cut the places 0 to n - 1 into as few shards of at most ``size`` as possible.

    Their sizes differ by at most one, so that no shard is much smaller than the others: batch
    norm takes its statistics from a shard.

    Args:
        n: how many places, 0 or more.
        size: the largest shard, 1 or more.

    >>> from fcnn.parallel import cut
    >>> cut(17, 16)
    [slice(0, 9, None), slice(9, 17, None)]
    """
    return spread(whole(n, "n", 0), whole(size, "size"))


def spread(n: int, size: int) -> list[slice]:
    """Cut as `cut` does, without its checks."""
    count = -(-n // size)
    if count <= 1:
        return [slice(0, n)] * count
    bounds = [-(-n * i // count) for i in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]
