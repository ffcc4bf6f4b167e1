"""What a script or a notebook defines is in ``__main__``: its runs are resumed and repeated too."""

import subprocess
import sys

SCRIPT = """
import sys
import numpy as np
import fcnn
from fcnn.tree import node


@node
class ScaleParams:
    scale: np.ndarray


@fcnn.layer
def scale(start):
    def init(key, shape):
        return ScaleParams(np.full((), start, np.float32)), shape

    def apply(params, x, ctx=fcnn.EVAL):
        return params.scale * x

    def vjp(params, x, ctx=fcnn.EVAL):
        def pullback(dy):
            return ScaleParams(np.asarray((dy * x).sum(), np.float32)), params.scale * dy

        return params.scale * x, pullback

    return init, apply, vjp


model, loss = fcnn.serial(fcnn.flatten, scale(2.0), fcnn.dense(10)), fcnn.losses.cross_entropy()
digits, adam = fcnn.data.mnist("train", 64), fcnn.optim.adam(0.003)
settings = {"key": fcnn.key(0), "log": None}
for epochs in map(int, sys.argv[1:]):
    first = fcnn.fit(model, loss, adam, digits, epochs=epochs, checkpoint="run.npz", **settings)
    fcnn.fit(model, loss, adam, digits, epochs=epochs, run="run", **settings)
assert first.params == fcnn.fit(model, loss, adam, digits, epochs=epochs, **settings).params
assert fcnn.runs.read("run").params(["__main__"]) == first.params
assert fcnn.reproduce("run", modules=["__main__"], log=None)
assert fcnn.load_model("run.npz", modules=["__main__"])[0] == model
try:
    fcnn.load_model("run.npz")
except fcnn.errors.TreeError as error:
    print(error)
"""


def test_a_run_with_layers_of_a_script_goes_on(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    for epochs in (["1"], ["2", "3"]):
        done = subprocess.run(
            [sys.executable, "script.py", *epochs],
            cwd=tmp_path, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "pass modules=['__main__'] if you trust that module" in done.stdout
