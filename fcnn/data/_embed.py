"""Make the embedded examples again: ``python -m fcnn.data._embed FOLDER``.

FOLDER holds the whole sets, as FCNN_DATA does. The embedded files are gzipped IDX
files. Gzip is 15 % larger here than xz (5.3 MB against 4.6) and is read six times as
fast.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from fcnn.data import _catalogue
from fcnn.data._idx import read_idx, write_idx


def embed(whole: Path, target: Path = _catalogue.EMBEDDED) -> None:
    """Write the first examples of the whole sets, and their checksums, to ``target``."""
    import gzip

    lines = []
    for source in _catalogue.SOURCES.values():
        for split, n in source.embedded.items():
            for stem in _catalogue.stems(split) if n else ():
                name = f"{source.name}-{stem}"
                path = target / f"{name}.gz"
                array = read_idx(
                    whole / source.name / f"{stem}.gz", sha256=source.files[stem].sha256
                )
                write_idx(path, array[:n])
                content = gzip.decompress(path.read_bytes())
                lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    (target / "SHA256SUMS.txt").write_text("".join(lines), "ascii")


if __name__ == "__main__":
    embed(Path(sys.argv[1]))
