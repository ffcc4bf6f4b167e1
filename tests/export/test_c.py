"""C files: compiled as strictly as gcc can, with sanitizers, and compared with `apply`."""

import ctypes
import re
import shutil
import subprocess

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn import quantize, tree
from fcnn.data import mnist
from fcnn.errors import ArgumentError, ShapeError
from fcnn.export._c._memory import ALIGNED, Life, placed
from fcnn.export._whole._fixed import fixed, rescaled
from tests.export.conftest import TABLE, drawn_inputs, drawn_params

GCC = shutil.which("gcc")
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
KEY = fcnn.key(0)


def compiled(folder, stems, *flags):
    """Compile files into one library, with a function ``run_STEM`` for each."""
    source = ["#include <stddef.h>"]
    for stem in stems:
        text = (folder / f"{stem}.h").read_text()
        takes = re.search(rf"static inline void {stem}_predict\((.*)\)", text).group(1)
        names = ", ".join(each.split("*")[-1] for each in takes.split(","))
        source += [
            f'#include "{stem}.h"',
            f"void run_{stem}({takes});",
            f"void run_{stem}({takes}) {{ {stem}_predict({names}); }}",
        ]
    path = folder / "all.c"
    path.write_text("\n".join(source) + "\n")
    command = [GCC, *STRICT, "-O1", *flags, "-shared", "-fPIC", path, "-lm"]
    subprocess.run([*command, "-o", folder / "all.so"], check=True)
    return ctypes.CDLL(str(folder / "all.so"))


def pointers(arrays):
    return [each.ctypes.data_as(ctypes.c_void_p) for each in arrays]


def computed(library, stem, x, outputs):
    """Return the outputs of one example, which are compared with these."""
    given = [np.ascontiguousarray(a.astype(np.int32) if a.dtype.kind == "i" else a) for a in x]
    found = [np.full(each.shape, np.nan, np.float32) for each in outputs]
    getattr(library, f"run_{stem}")(*pointers([*given, *found]))
    return found


@needs_gcc
def test_every_layer_of_the_table_is_apply(tmp_path):
    cases = {}
    for i, (layer, shape) in enumerate(TABLE):
        params = drawn_params(layer, shape)
        made = fcnn.export.c(layer, params, shape, tmp_path / f"layer{i}.h")
        assert made.function == f"layer{i}_predict"
        cases[f"layer{i}"] = layer, shape, params
    library = compiled(tmp_path, cases, "-fsanitize=undefined", "-fno-sanitize-recover=all")
    for stem, (layer, shape, params) in cases.items():
        x = drawn_inputs(layer, shape, 1)
        expected = tree.leaves(layer.apply(params, x))
        found = computed(library, stem, tree.leaves(x), expected)
        for ours, right in zip(found, expected, strict=True):
            atol = 1e-5 * max(1, np.abs(right).max())
            np.testing.assert_allclose(ours, right, rtol=1e-5, atol=atol, err_msg=repr(layer))


NETWORKS = {
    "lenet": (
        fcnn.serial(
            *(fcnn.conv2d(6, 5, padding=2), fcnn.relu, fcnn.max_pool2d(2), fcnn.conv2d(16, 5)),
            *(fcnn.batch_norm(), fcnn.relu, fcnn.avg_pool2d(2), fcnn.flatten, fcnn.dense(20)),
            *(fcnn.gelu(), fcnn.dense(10)),
        ),
        (28, 28, 1),
    ),
    "gated": (
        fcnn.serial(
            *(fcnn.depthwise_conv2d(3, stride=2, padding="same"), fcnn.silu),
            *(fcnn.squeeze_excite(2), fcnn.avg_pool2d(3, stride=2, padding=1), fcnn.prelu()),
            *(fcnn.batch_norm(), fcnn.global_max_pool(), fcnn.dense(5)),
        ),
        (20, 19, 4),
    ),
    "branches": (
        fcnn.serial(
            fcnn.conv2d(4, 3, padding=1, groups=2),
            fcnn.concat(fcnn.relu, fcnn.serial(fcnn.conv2d(3, 1), fcnn.tanh), fcnn.max_pool2d(1)),
            *(fcnn.residual(fcnn.conv2d(11, 3, padding=1)), fcnn.pad2d(1), fcnn.upsample2d(2)),
            *(fcnn.conv2d(3, 3, stride=2, dilation=2), fcnn.relu6, fcnn.pixel_unshuffle(2)),
            *(fcnn.global_avg_pool(), fcnn.dense(4)),
        ),
        (8, 8, 2),
    ),
    "sequence": (fcnn.models.ecg(), (256, 1)),
    "resnet": (fcnn.models.resnet20(), (16, 16, 3)),
    "mobile": (fcnn.models.mobilenet_v2(width=0.25), (32, 32, 3)),
    "volume": (
        fcnn.serial(
            *(fcnn.conv3d(3, 2), fcnn.relu, fcnn.max_pool3d(2), fcnn.flatten, fcnn.dense(3)),
        ),
        (5, 6, 7, 2),
    ),
}


def pictures(shape, n=8):
    return np.random.default_rng(1).random((n, *shape), np.float32)


@needs_gcc
def test_whole_numbers_have_the_bits_of_quantize_apply(tmp_path):
    smalls = {}
    for stem, (model, shape) in NETWORKS.items():
        params = drawn_params(model, shape)
        smalls[stem] = quantize.calibrate(model, params, pictures(shape))
        fcnn.export.c(model, params, shape, tmp_path / f"{stem}.h", quantize=smalls[stem])
    library = compiled(tmp_path, smalls, "-fsanitize=undefined", "-fno-sanitize-recover=all")
    for stem, small in smalls.items():
        model, shape = NETWORKS[stem]
        x = pictures(shape, 4) * 1.2 - 0.1  # some beyond the range it was calibrated with
        expected = quantize.apply(small, x)
        for image, right in zip(x, expected, strict=True):
            (found,) = computed(library, stem, [image], [right])
            np.testing.assert_array_equal(found, right, err_msg=stem)
        spread = np.abs(model.apply(drawn_params(model, shape), x) - expected).max()
        assert spread < 0.2 * np.abs(expected).max(), stem


def drawn_convolution(draw):
    """Return a convolution of one to three axes with its shape, drawn from a generator."""
    rank = int(draw.integers(1, 4))
    groups = int(draw.choice([1, 1, 2, 3]))
    kernel, stride = draw.integers(1, 6 - rank, rank), draw.integers(1, 4, rank)
    dilation = 1 if rank == 3 else int(draw.integers(1, 3))
    padding = str(draw.choice(["valid", "same"])) if draw.random() < 0.5 else int(draw.integers(4))
    image = (kernel - 1) * dilation + draw.integers(1, 10 // rank + 3, rank)
    conv = (fcnn.conv1d, fcnn.conv2d, fcnn.conv3d)[rank - 1]
    filters = groups * int(draw.choice([1, 3, 4, 5, 7, 16, 18, 20, 33]))
    layer = conv(
        filters, tuple(kernel.tolist()) if rank > 1 else int(kernel[0]),
        stride=tuple(stride.tolist()) if rank > 1 else int(stride[0]),
        padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    return layer, (*image.tolist(), groups * int(draw.integers(1, 4)))


@needs_gcc
def test_convolutions_of_all_sizes(tmp_path):
    """Blocks that overlap, columns at an edge, windows larger than the image, groups."""
    draw, cases = np.random.default_rng(3), {}
    for i in range(32):
        layer, shape = drawn_convolution(draw)
        params, x = drawn_params(layer, shape), draw.standard_normal((4, *shape)).astype("f4")
        small = quantize.calibrate(layer, params, x)
        fcnn.export.c(layer, params, shape, tmp_path / f"exact{i}.h")
        fcnn.export.c(layer, params, shape, tmp_path / f"whole{i}.h", quantize=small)
        cases[i] = layer, x, layer.apply(params, x), quantize.apply(small, x)
    stems = [f"{kind}{i}" for i in cases for kind in ("exact", "whole")]
    library = compiled(tmp_path, stems, *SANITIZED[1:], "-fsanitize=undefined")
    for i, (layer, x, exact, whole) in cases.items():
        (found,) = computed(library, f"exact{i}", [x[0]], [exact[0]])
        np.testing.assert_allclose(found, exact[0], rtol=1e-5, atol=1e-5, err_msg=repr(layer))
        (found,) = computed(library, f"whole{i}", [x[0]], [whole[0]])
        np.testing.assert_array_equal(found, whole[0], err_msg=repr(layer))


@needs_gcc
def test_sums_that_are_almost_too_large(tmp_path):
    """The zero point is not taken out of a sum that would then need more than 32 bits."""
    model, n = fcnn.dense(2), 50000
    params = attrs.evolve(model.init(KEY, (n,))[0], weight=np.ones((n, 2), np.float32))
    x = np.linspace(-1, 1, 2 * n, dtype=np.float32).reshape(2, n)
    small = quantize.calibrate(model, params, x)
    fcnn.export.c(model, params, (n,), tmp_path / "large.h", quantize=small)
    assert "in0[k] - 1" in (tmp_path / "large.h").read_text()
    library = compiled(tmp_path, ["large"], *SANITIZED[1:], "-fsanitize=undefined")
    right = quantize.apply(small, x)
    (found,) = computed(library, "large", [x[1]], [right[1]])
    np.testing.assert_array_equal(found, right[1])


@needs_gcc
def test_what_follows_the_last_layer_is_in_floats(tmp_path):
    """Batch norm that is not merged, and sums; the model that is written stays as it is."""
    last = (fcnn.sigmoid, fcnn.batch_norm(), fcnn.log_softmax)
    models = {
        "row": (fcnn.serial(fcnn.dense(6), *last), (4,)),
        "image": (fcnn.serial(fcnn.conv2d(3, 3), *last), (6, 6, 1)),
    }
    smalls = {}
    for stem, (model, shape) in models.items():
        params = drawn_params(model, shape)
        small = smalls[stem] = quantize.calibrate(model, params, pictures(shape))
        before = dict(small.shapes)
        fcnn.export.c(model, params, shape, tmp_path / f"{stem}.h", quantize=small)
        assert small.shapes == before
    library = compiled(tmp_path, smalls)
    for stem, small in smalls.items():
        x = pictures(models[stem][1], 3)
        for image, right in zip(x, quantize.apply(small, x), strict=True):
            (found,) = computed(library, stem, [image], [right])
            np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-5)


def test_outputs_in_whole_numbers_have_the_form_of_the_models():
    model = fcnn.fanout(b=fcnn.dense(2), a=fcnn.fanout(fcnn.dense(3), fcnn.dense(4)))
    params, x = drawn_params(model, (5,)), pictures((5,))
    found = quantize.apply(quantize.calibrate(model, params, x), x)
    right = model.apply(params, x)
    assert tree.structure(found) == tree.structure(right)
    for ours, exact in zip(tree.leaves(found), tree.leaves(right), strict=True):
        np.testing.assert_allclose(ours, exact, atol=0.1)


def digits_network():
    """Return the front door's kind of network, trained for an epoch on the embedded digits."""
    model = fcnn.serial(
        *(fcnn.conv2d(8, 3, padding=1, bias=None), fcnn.batch_norm(), fcnn.relu),
        *(fcnn.max_pool2d(2), fcnn.conv2d(16, 3), fcnn.relu, fcnn.max_pool2d(2)),
        *(fcnn.flatten, fcnn.dropout(0.2), fcnn.dense(10)),
    )
    train, test = mnist("train", 3000), mnist("test", 1000)
    run = fcnn.fit(
        model, fcnn.losses.softmax_cross_entropy, fcnn.optim.adam(0.003), train,
        key=KEY, epochs=2, log=None,
    )  # fmt: skip
    return model, run.params, train, test


@needs_gcc
def test_a_thousand_digits(tmp_path):
    model, params, train, test = digits_network()
    x, labels = np.asarray(test.inputs), test.targets
    exact = fcnn.predict(model, params, x)
    small = quantize.calibrate(model, params, np.asarray(train.inputs[:200]))
    whole = quantize.apply(small, x)
    shape = (28, 28, 1)
    names = [str(i) for i in range(10)]
    made = fcnn.export.c(model, params, shape, tmp_path / "exact.h", class_names=names)
    tiny = fcnn.export.c(model, params, shape, tmp_path / "whole.h", quantize=small)
    assert tiny.constants < 0.3 * made.constants
    assert tiny.memory < 0.4 * made.memory
    library = compiled(tmp_path, ["exact", "whole"], *("-O2",))
    for i, image in enumerate(x):
        (found,) = computed(library, "exact", [image], [exact[i]])
        np.testing.assert_allclose(found, exact[i], rtol=1e-5, atol=1e-5)
        (found,) = computed(library, "whole", [image], [whole[i]])
        np.testing.assert_array_equal(found, whole[i])
    right, still = ((each.argmax(1) == labels).mean() for each in (exact, whole))
    assert right > 0.9
    assert abs(right - still) < 0.005


@needs_gcc
def test_a_program_with_address_sanitizer_reads_and_writes_its_own_memory_alone(tmp_path):
    """The arrays of the caller are as large as the file says, and not an element larger."""
    stems = ("lenet", "gated")
    lines = ["#include <stdlib.h>", "#include <stdio.h>"]
    for stem in stems:
        model, shape = NETWORKS[stem]
        params, x = drawn_params(model, shape), pictures(shape)
        fcnn.export.c(model, params, shape, tmp_path / f"{stem}.h")
        fcnn.export.c(model, params, shape, tmp_path / f"{stem}_q.h", quantize=x)
        lines += [f'#include "{stem}.h"', f'#include "{stem}_q.h"']
    lines.append("int main(void) {")
    for stem in (name for each in stems for name in (each, f"{each}_q")):
        upper = stem.upper()
        lines += [
            f"  {{ float *x = calloc({upper}_INPUT_SIZE, sizeof(float));",
            f"    float *y = malloc({upper}_OUTPUT_SIZE * sizeof(float));",
            f'    {stem}_predict(x, y); printf("%g\\n", y[{upper}_OUTPUT_SIZE - 1]);',
            "    free(x); free(y); }",
        ]
    (tmp_path / "main.c").write_text("\n".join([*lines, "  return 0;", "}"]) + "\n")
    program = tmp_path / "main"
    flags = [*STRICT, *SANITIZED, "-g", tmp_path / "main.c", "-lm", "-o", program]
    subprocess.run([GCC, *flags], check=True)
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.stderr == ""
    assert len(done.stdout.split()) == 4


LIVES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.tuples(st.integers(1, 40), st.integers(0, 9), st.integers(0, 5)),
    min_size=1,
    max_size=12,
)


@given(LIVES)
def test_values_that_are_needed_at_once_do_not_overlap(drawn):
    lives = {name: Life(size, start, start + more) for name, (size, start, more) in drawn.items()}
    offsets, total = placed(lives)
    for name, life in lives.items():
        assert offsets[name] % ALIGNED == 0
        assert offsets[name] + life.size <= total
        for other, its in lives.items():
            if other != name and life.start <= its.end and its.start <= life.end:
                ends = offsets[name] + life.size, offsets[other] + its.size
                assert ends[0] <= offsets[other] or ends[1] <= offsets[name]


@given(st.floats(1e-6, 1e3), st.integers(-(2**31), 2**31 - 1))
def test_another_scale_is_the_nearest_whole_number(ratio, total):
    multiplier, shift = fixed(ratio)
    exact = total * ratio
    found = int(rescaled(np.array(total), multiplier[0], shift[0], 100))
    wished = min(max(exact + 100, 0), 255)
    assert abs(found - wished) <= 0.5 + 1e-6 * abs(exact)


def test_memory_is_used_again(tmp_path):
    """A chain of ten convolutions needs two of its values at a time."""
    model = fcnn.serial(*[fcnn.conv2d(4, 3, padding=1) for _ in range(10)])
    params, _ = model.init(KEY, (16, 16, 4))
    made = fcnn.export.c(model, params, (16, 16, 4), tmp_path / "chain.h")
    assert made.memory == 2 * 4 * 16 * 16 * 4


@needs_gcc
def test_a_view_is_not_written_over_while_another_branch_reads_it(tmp_path):
    """The relu is of a reshaped value, whose memory the tanh still reads."""
    branch = fcnn.serial(fcnn.reshape(2, 3), fcnn.relu, fcnn.flatten)
    model = fcnn.serial(fcnn.dense(6), fcnn.add(branch, fcnn.tanh))
    params, x = drawn_params(model, (4,)), drawn_inputs(model, (4,), 1)
    fcnn.export.c(model, params, (4,), tmp_path / "two.h")
    right = model.apply(params, x)
    (found,) = computed(compiled(tmp_path, ["two"]), "two", [x], [right])
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)


def test_the_file_says_what_it_holds(tmp_path):
    model, shape = NETWORKS["lenet"]
    params = drawn_params(model, shape)
    made = fcnn.export.c(model, params, shape, tmp_path / "net.h", class_names=["a", 'b"*/'])
    text = made.path.read_text()
    assert "#define NET_INPUT_SIZE 784 /* (28, 28, 1) */" in text
    assert "#define NET_OUTPUT_SIZE 10 /* (10,) */" in text
    assert '"b\\"*/"' in text
    assert f"{made.constants} bytes" in text
    assert "malloc" not in text


def test_what_cannot_be_written_is_refused(tmp_path):
    @fcnn.layer
    def own():
        def init(key, shape):
            return (), shape

        def apply(params, x, ctx=fcnn.EVAL):
            return x

        return init, apply, lambda params, x, ctx=fcnn.EVAL: (x, lambda dy: ((), dy))

    with pytest.raises(ArgumentError, match=r"serial\[1\].*fcnn.export.rule\(own\)"):
        fcnn.export.c(fcnn.serial(fcnn.relu, own()), ((), ()), (3,), tmp_path / "x.h")
    with pytest.raises(ArgumentError, match="begins with a letter"):
        fcnn.export.c(fcnn.relu, (), (3,), tmp_path / "3d.h")
    norm = fcnn.serial(fcnn.dense(4), fcnn.layer_norm(), fcnn.dense(2))
    params, _ = norm.init(KEY, (3,))
    with pytest.raises(ArgumentError, match="whole numbers"):
        quantize.calibrate(norm, params, np.ones((4, 3), np.float32))
    with pytest.raises(ArgumentError, match="got none"):
        quantize.calibrate(norm, params, np.ones((0, 3), np.float32))
    small = quantize.calibrate(
        fcnn.dense(2), fcnn.dense(2).init(KEY, (3,))[0], np.eye(3, dtype="f4")
    )
    with pytest.raises(ShapeError, match=r"\(3,\), got \(4,\)"):
        quantize.apply(small, np.ones((2, 4), np.float32))
    with pytest.raises(ArgumentError, match="what calibrate made of dense"):
        fcnn.export.c(fcnn.dense(5), (), (3,), tmp_path / "x.h", quantize=small)
    assert not list(tmp_path.iterdir())


def test_a_rule_of_ones_own_is_written_too(tmp_path):
    @fcnn.layer
    def doubled():
        def init(key, shape):
            return (), shape

        def apply(params, x, ctx=fcnn.EVAL):
            return 2 * x

        return init, apply, lambda params, x, ctx=fcnn.EVAL: (2 * x, lambda dy: ((), 2 * dy))

    @fcnn.export.rule(doubled)
    def doubled_rule(graph, layer, params, x):
        return graph.node("Mul", x, 2.0)

    made = fcnn.export.c(doubled(), (), (3,), tmp_path / "own.h")
    assert "a * b" in made.path.read_text()
