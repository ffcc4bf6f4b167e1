"""Write a page that reads digits drawn with the mouse: one file, which works offline.

    npm install --ignore-scripts onnxruntime-web@1.30.0     # here, or anywhere; see --engine
    python examples/web/make.py                             # digits.html; opens from disk

The network is the one of ``examples/mnist.py``, trained now, or one that `fcnn.save` has written
(``--network digits.npz``). `fcnn.export.onnx` writes it with its class names and the scale of the
pixels; the page holds that file, the engine that runs it, and ten test digits, all in base64.
"""

import argparse
import base64
import gzip
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import fcnn

HERE = Path(__file__).parent
VERSION = "1.30.0"
ENGINE = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
"""The smallest build of onnxruntime-web: for the processor alone, in one thread."""


def engine_in(folder: Path | None) -> tuple[str, bytes, bytes]:
    """Return onnxruntime-web's version, its code and its WebAssembly."""
    given = [folder] if folder else [Path(), HERE, HERE / "../.."]
    for each in given:
        for package in (each, each / "onnxruntime-web", each / "node_modules" / "onnxruntime-web"):
            if (package / "dist" / ENGINE[0]).exists():
                version = json.loads((package / "package.json").read_text())["version"]
                code, wasm = ((package / "dist" / name).read_bytes() for name in ENGINE)
                return version, code, wasm
    raise SystemExit(
        f"expected onnxruntime-web in {' or '.join(str(each.resolve()) for each in given)}; "
        f"npm install --ignore-scripts onnxruntime-web@{VERSION}, or name its folder by --engine"
    )


def trained(quick: bool) -> tuple[fcnn.Layer, Any]:
    """Train the network of the front door."""
    sys.path.insert(0, str(HERE.parent))
    import _common
    import mnist

    args = _common.options(__doc__, recipes=()).parse_args(["--quick"] if quick else [])
    train = fcnn.data.mnist("train")
    recipe = mnist.recipe(train)
    moved = fcnn.data.augment.affine(shift=2, rotate=10, scale=0.1)
    return recipe.model, _common.learn(recipe, train, args, augment=moved).params


def network_file(model: fcnn.Layer, params: Any, classes: tuple[str, ...]) -> bytes:
    """Return the network as an ONNX file that takes pixels from 0 to 255."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "digits.onnx")
        fcnn.export.onnx(model, params, (28, 28, 1), path, normalise=(0, 255), class_names=classes)
        return path.read_bytes()


def page(parts: dict[str, bytes], description: str) -> str:
    """Put the parts into the template."""
    words = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    words["description"] = description
    for name in ("style.css", "digit.js", "onnx.js", "page.js"):
        words[name] = (HERE / name).read_text(encoding="utf-8").strip()
    text = (HERE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"@([\w.]+)@", lambda found: words[found[1]], text)


def main() -> None:
    """Train or load the network, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--engine", type=Path, metavar="FOLDER", help="where npm has installed onnxruntime-web")
    add("--network", type=Path, metavar="FILE", help="what fcnn.save has written; default: train")
    add("--output", type=Path, default=Path("digits.html"), metavar="FILE",
        help="the page; default: %(default)s")  # fmt: skip
    add("--quick", action="store_true", help="train for a few seconds")
    args = parser.parse_args()
    version, code, wasm = engine_in(args.engine)
    model, params = fcnn.load_model(args.network) if args.network else trained(args.quick)
    test = fcnn.data.mnist("test")
    right = np.mean(fcnn.predict(model, params, test.inputs).argmax(axis=1) == test.targets)
    file = network_file(model, params, test.classes)
    first = [int(np.flatnonzero(test.targets == digit)[0]) for digit in range(10)]
    parts = {
        "model": file,
        "digits": np.round(255 * test.inputs[first]).astype(np.uint8).tobytes(),
        "wasm": gzip.compress(wasm, 9, mtime=0),
        "engine": gzip.compress(code, 9, mtime=0),
    }
    summary = fcnn.summary(model, (28, 28, 1))
    description = (
        f"{summary.params:,} params, {right:.4f} on {len(test):,} test digits, "
        f"{len(file) / 1000:.0f} kB of ONNX, run by onnxruntime-web {version}."
    )
    args.output.write_text(page(parts, description), encoding="utf-8")
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.1f} MB, {description}")


if __name__ == "__main__":
    main()
