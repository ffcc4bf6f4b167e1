"""Let the C library keep freed memory for the next step.

A training step allocates the same arrays again and again. By default the GNU C library gives a
block larger than 128 KiB back to the system when it is freed, and the next step maps it again,
with a page fault for each 4 KiB. On a virtual machine that took ten times as long as the
arithmetic: 8 arrays of 2.8 MB filled with ones took 14.6 ms, and 1.7 ms without the faults.

The library adapts: once a mapped block has been freed, blocks up to its size are kept from then
on (mallopt(3), "dynamic mmap threshold"; at most 32 MiB). So one large block is allocated and
freed, untouched, when the kernels are imported, which takes some microseconds. With another C
library this has no effect.
"""

from __future__ import annotations

import numpy as np

_LARGEST_KEPT = (32 << 20) - (64 << 10)


def keep_freed_memory() -> None:
    """Let the C library keep freed blocks of up to 32 MiB."""
    np.empty(_LARGEST_KEPT, np.uint8)


keep_freed_memory()
