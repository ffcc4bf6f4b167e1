"""Memory that stays with the process between steps.

A training step allocates the same arrays again and again. By default the GNU C
library gives a block larger than 128 KiB back to the system as soon as it is freed,
and the next step fetches it again, with a page fault for each 4 KiB: on a virtual
machine that took ten times as long as the arithmetic on the block (8 arrays of
2.8 MB filled with ones: 14.6 ms, and 1.7 ms without the faults).

The library adapts, though: when a block that had been mapped is freed, blocks up to
its size are kept from then on (mallopt(3), "dynamic mmap threshold"; at most 32 MiB).
So one large block is asked for and freed, untouched, which costs some microseconds, when the
kernels are imported. With another C library this does nothing.
"""

from __future__ import annotations

import numpy as np

_LARGEST_KEPT = (32 << 20) - (64 << 10)


def keep_freed_memory() -> None:
    """Let the C library keep freed blocks of up to 32 MiB for the next step."""
    np.empty(_LARGEST_KEPT, np.uint8)


keep_freed_memory()
