"""The bits of a short run, by digest, so that a change of bits is noticed.

Bits depend on BLAS's kernel, which it chooses by the processor, and might on NumPy's elementwise
functions and draws. A line of ``golden.txt`` is the name of the kernel, the digest of a probe of
those functions, and the digest of the run; the digests are the same with NumPy 2.3.0, 2.4.6 and
2.5.5, and with NumPy's AVX-512 switched off.
After a change that is meant: ``python -m tests.test_golden`` writes the file anew, with each
kernel that the processor can run.
"""

import functools
import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import fcnn
from fcnn import data, losses, optim, parallel, prng, train, tree

HERE = Path(__file__).parent
FILE = HERE / "golden.txt"
CORES = ("SkylakeX", "Haswell", "Zen", "Sandybridge", "Nehalem")


def run(executor=None):
    """The digest of init and five steps: shards, augmentation, dropout, batch norm, Adam."""
    model = fcnn.serial(
        fcnn.conv2d(8, 3), fcnn.batch_norm(), fcnn.relu, fcnn.max_pool2d(2),
        fcnn.conv2d(12, 3, padding="same"), fcnn.relu, fcnn.max_pool2d(2),
        fcnn.flatten, fcnn.dropout(0.25), fcnn.dense(10),
    )  # fmt: skip
    images = prng.uniform(fcnn.key(1), (100, 20, 20, 1))
    examples = data.Dataset(images, prng.permutation(fcnn.key(2), 100) % 10)
    adam = optim.adam(0.01)
    state = train.init(model, adam, examples, fcnn.key(0))
    run = train.steps(
        model, losses.softmax_cross_entropy, adam, examples, state,
        batch_size=24, shard_size=8, augment=data.augment.shift(2), executor=executor,
    )  # fmt: skip
    state = next(itertools.islice(run, 4, None))
    return tree.digest((state.params, state.loss))


def kernel():
    """The name of OpenBLAS's kernel, or of another BLAS."""
    blas = next(each for each in threadpool_info() if each["user_api"] == "blas")
    return blas.get("architecture", blas["internal_api"])


def probe():
    """A digest of what the run needs of NumPy and the C library, and not of BLAS."""
    x = np.linspace(0.01, 9, 10_000, dtype=np.float32)
    values = [np.exp(-x), np.log(x), np.sqrt(x), fcnn.key(0).generator().standard_normal(10_000)]
    return hashlib.sha256(b"".join(value.tobytes() for value in values)).hexdigest()[:12]


def golden():
    """The digest of the run for each kernel and probe."""
    lines = [line.split() for line in FILE.read_text("utf-8").splitlines()]
    return {(core, elementwise): digest for core, elementwise, digest in lines}


@pytest.mark.parametrize("pool", [None, parallel.threads])
def test_the_bits_are_those_of_the_file(pool):
    here = kernel(), probe()
    if here not in golden():
        pytest.skip(f"golden.txt has no digest for the kernel {here[0]} and the probe {here[1]}")
    if pool is None:
        assert run() == golden()[here], "bits have changed; if that is meant, see the docstring"
    else:
        with pool(2) as executor:
            assert run(executor) == golden()[here]


def subprocess_of(argument, **environment):
    path = os.pathsep.join(
        [str(Path(fcnn.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    )
    env = {**os.environ, "PYTHONPATH": path, **environment}
    command = [sys.executable, __file__, argument]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


ARTICLE_001 = fcnn.serial(
    fcnn.conv2d(5, 3), fcnn.relu, fcnn.flatten,
    fcnn.dense(100), fcnn.relu, fcnn.dropout(0.05), fcnn.dense(10),
)  # fmt: skip


def resnet_20():
    def normed(filters, kernel, stride=1):
        padding = kernel // 2
        convolution = fcnn.conv2d(filters, kernel, stride=stride, padding=padding, bias=None)
        return fcnn.serial(convolution, fcnn.batch_norm())

    def block(filters, stride=1):
        body = normed(filters, 3, stride), fcnn.relu, normed(filters, 3)
        shortcut = normed(filters, 1, stride) if stride > 1 else None
        return fcnn.serial(fcnn.residual(*body, shortcut=shortcut), fcnn.relu)

    stages = [block(filters, 2 if filters > 16 and i == 0 else 1)
              for filters in (16, 32, 64) for i in range(3)]  # fmt: skip
    head = fcnn.avg_pool2d(8), fcnn.flatten, fcnn.dense(10)
    return fcnn.serial(normed(16, 3), fcnn.relu, *stages, *head)


def gradients():
    """The digests of the gradients of two networks, computed in shards."""
    digests = []
    for network, shape in ((ARTICLE_001, (28, 28, 1)), (resnet_20(), (32, 32, 3))):
        params, _ = network.init(fcnn.key(0), shape)
        x = prng.normal(fcnn.key(1), (12, *shape))
        target = prng.permutation(fcnn.key(2), 12) % 10
        f = fcnn.value_and_grad(network, losses.softmax_cross_entropy, shard_size=6)
        digests.append(tree.digest(f(params, x, target, fcnn.training(fcnn.key(3)))))
    return " ".join(digests)


@functools.cache
def gradients_with(l2_size, threads, **core):
    settings = {"OPENBLAS_L2_SIZE": l2_size, "OPENBLAS_NUM_THREADS": threads}
    return subprocess_of("gradients", **settings, **core)


@pytest.mark.parametrize(
    ("l2_size", "threads"), [("512", "2"), ("1024", "1"), ("2048", "4"), ("4096", "3")]
)
def test_gradients_do_not_depend_on_cache_or_threads(l2_size, threads):
    """OpenBLAS cuts a product by the size of the level-2 cache, in KiB, and by its threads."""
    assert gradients_with(l2_size, threads) == gradients_with("256", "1")


def test_without_avx512_gradients_do_not_depend_on_the_cache():
    """OpenBLAS 0.3.34, of NumPy 2.5, cuts elsewhere where the cache has 1 MiB."""
    core = {"OPENBLAS_CORETYPE": "Haswell"}
    assert gradients_with("1024", "1", **core) == gradients_with("256", "1", **core)


def record():
    """Return the text of the file: the run with each kernel, with and without AVX-512."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    wide = [name for name in found if name.startswith("AVX512") or name == "X86_V4"]
    lines = set()
    for core, off in itertools.product(CORES, (wide, [])):
        features = {"NPY_DISABLE_CPU_FEATURES": " ".join(off)} if off else {}
        lines.add(subprocess_of("run", OPENBLAS_CORETYPE=core, **features))
    return "".join(sorted(lines))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run"]:
            print(kernel(), probe(), run())
        case ["gradients"]:
            print(gradients())
        case _:
            FILE.write_text(record(), "utf-8")
