"""Build the API reference from the docstrings.

    pip install '.[docs]' && python .docs [FOLDER]

The pages are in ``build/reference`` unless another folder is named; ``index.html`` opens without a
server. A warning of Sphinx, such as a name in backticks that leads nowhere, is an error.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # document this checkout, not another that is installed


def main() -> int:
    """Write the sources of the pages, build them, and say where they are."""
    try:
        from sphinx.cmd.build import build_main
    except ImportError:
        print("python .docs needs Sphinx: pip install '.[docs]'", file=sys.stderr)
        return 2
    import pages

    target = Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent / "build" / "reference")
    with tempfile.TemporaryDirectory() as sources:
        pages.write(Path(sources))
        state = f"{sources}/doctrees"
        failed = build_main(["-q", "-W", "--keep-going", "-c", str(HERE), "-d", state, sources,
                             str(target)])  # fmt: skip
    if not failed:
        print(f"reference: {target.resolve() / 'index.html'}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
