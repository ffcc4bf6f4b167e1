"""The walk over a model's layers, and the table that is made of it."""

import numpy as np
import pytest

import fcnn
from fcnn import (
    batch_norm,
    concat,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose2d,
    dense,
    fanout,
    flatten,
    itemwise,
    key,
    max_pool2d,
    named,
    relu,
    residual,
    serial,
    shared,
    summary,
    tree,
    walk,
)
from fcnn.errors import ShapeError

BLOCK = residual(conv2d(4, 3, padding="same"), batch_norm(), shortcut=conv2d(4, 1))
MODEL = serial(
    named("stem", conv2d(4, 3)), serial(relu, max_pool2d(2)), BLOCK, concat(relu, serial(relu)),
    flatten, named("head", serial(dense(8), dense(3))),
)  # fmt: skip
TWO = serial(
    itemwise(a=serial(conv2d(2, 3), flatten), b=dense(4)), concat(), fanout(dense(1), relu)
)


def test_leaves_come_in_order_with_paths_and_shapes():
    found = [visit[:5] for visit in walk(MODEL, (10, 10, 1))]
    assert found == [
        ("stem", conv2d(4, 3), (10, 10, 1), (8, 8, 4), "[0]"),
        ("serial[1].serial[0]", relu, (8, 8, 4), (8, 8, 4), "[1][0]"),
        ("serial[1].serial[1]", max_pool2d(2), (8, 8, 4), (4, 4, 4), "[1][1]"),
        ("serial[2].residual[0]", conv2d(4, 1), (4, 4, 4), (4, 4, 4), "[2][0]"),
        ("serial[2].residual[1].serial[0]", conv2d(4, 3, padding="same"), (4, 4, 4), (4, 4, 4),
         "[2][1][0]"),
        ("serial[2].residual[1].serial[1]", batch_norm(), (4, 4, 4), (4, 4, 4), "[2][1][1]"),
        ("serial[3].concat[0]", relu, (4, 4, 4), (4, 4, 4), "[3][0]"),
        ("serial[3].concat[1].serial[0]", relu, (4, 4, 4), (4, 4, 4), "[3][1][0]"),
        ("serial[4]", flatten, (4, 4, 8), (128,), "[4]"),
        ("head.serial[0]", dense(8), (128,), (8,), "[5][0]"),
        ("head.serial[1]", dense(3), (8,), (3,), "[5][1]"),
    ]  # fmt: skip


def test_paths_of_params_are_those_of_the_tree():
    params, _ = MODEL.init(key(0), (10, 10, 1))
    leaves = dict(zip(tree.paths(params), tree.leaves(params), strict=True))
    seen = set()
    for visit in walk(MODEL, (10, 10, 1)):
        own, _ = visit.layer.init(key(0), visit.in_shape)
        for path, leaf in zip(tree.paths(own), tree.leaves(own), strict=True):
            assert leaves[visit.params_path + path].shape == leaf.shape
            seen.add(visit.params_path + path)
    assert seen == set(leaves)


def test_trees_are_walked_by_their_items():
    found = [(v.path, v.in_shape, v.out_shape) for v in walk(TWO, {"a": (4, 4, 1), "b": (5,)})]
    assert found == [
        ("serial[0].itemwise[a].serial[0]", (4, 4, 1), (2, 2, 2)),
        ("serial[0].itemwise[a].serial[1]", (2, 2, 2), (8,)),
        ("serial[0].itemwise[b]", (5,), (4,)),
        ("serial[1]", {"a": (8,), "b": (4,)}, (12,)),
        ("serial[2].fanout[0]", (12,), (1,)),
        ("serial[2].fanout[1]", (12,), (12,)),
    ]


def test_paths_are_those_of_errors():
    with pytest.raises(ShapeError) as caught:
        serial(named("stem", conv2d(4, 3)), serial(relu, max_pool2d(9))).init(key(0), (8, 8, 1))
    assert caught.value.path == "serial[1].serial[1]"


def test_no_weight_is_drawn(monkeypatch):
    def refuse(self):
        raise AssertionError("a generator was made")

    monkeypatch.setattr(fcnn.Key, "generator", refuse)
    assert len(list(walk(MODEL, (10, 10, 1)))) == 11
    assert summary(MODEL, (10, 10, 1)).params == 40 + 20 + 148 + 8 + 1032 + 27


def test_an_error_names_the_layer():
    with pytest.raises(ShapeError, match=r"^stem conv2d\(4, 3\): "):
        list(walk(MODEL, (2, 2, 1)))


@pytest.mark.parametrize(
    ("layers", "fields"),
    [
        ((conv2d(1, 3), conv2d(1, 3)), [(3, 3), (5, 5)]),
        ((conv2d(1, 3, stride=2), conv2d(1, (3, 1))), [(3, 3), (7, 3)]),
        ((conv2d(1, 3, dilation=2), relu, max_pool2d(2), conv2d(1, 3)),
         [(5, 5), (5, 5), (6, 6), (10, 10)]),
        ((residual(conv2d(1, 3, padding="same")), conv2d(1, 3)), [(1, 1), (3, 3), (5, 5)]),
        ((conv2d(1, 3), flatten, dense(1)), [(3, 3), None, None]),
        ((fcnn.add(conv2d(1, 3, padding="same"), conv2d(1, 5, padding="same")), conv2d(1, 3)),
         [(3, 3), (5, 5), (7, 7)]),
    ],
)  # fmt: skip
def test_receptive_fields(layers, fields):
    assert [visit.receptive_field for visit in walk(serial(*layers), (20, 20, 1))] == fields


def test_receptive_fields_of_sequences_and_volumes():
    chain = serial(conv1d(2, 3, dilation=2), relu, conv1d(2, 3, stride=2), conv1d(1, 2), relu)
    fields = [visit.receptive_field for visit in walk(chain, (20, 1))]
    assert fields == [(5,), (5,), (7,), (9,), (9,)]
    volumes = serial(relu, conv3d(2, (1, 2, 3), stride=2), relu, conv3d(1, 2))
    fields = [visit.receptive_field for visit in walk(volumes, (8, 8, 8, 1))]
    assert fields == [(1, 1, 1), (1, 2, 3), (1, 2, 3), (3, 4, 5)]
    assert str(summary(volumes, (8, 8, 8, 1))).splitlines()[4].split()[-1] == "3×4×5"
    assert str(summary(chain, (20, 1))).splitlines()[4].split()[-1] == "9"


def test_items_of_other_ranks_have_receptive_fields_of_their_own():
    model = itemwise(a=serial(relu, conv1d(1, 3)), b=conv3d(1, (1, 2, 3)), c=conv2d(1, 2))
    shapes = {"a": (8, 1), "b": (8, 8, 8, 1), "c": (8, 8, 1)}
    fields = {visit.path: visit.receptive_field for visit in walk(model, shapes)}
    assert fields["itemwise[a].serial[0]"] == (1,)
    assert fields["itemwise[a].serial[1]"] == (3,)
    assert fields["itemwise[b]"] == (1, 2, 3)
    assert fields["itemwise[c]"] == (2, 2)


def test_a_way_down_and_up_again_joins_the_way_beside_it():
    """Behind the transposed convolution, neighbours stand as far apart as without a stride."""
    down = serial(conv2d(1, 3, padding="same", stride=2), conv_transpose2d(1, 2, stride=2))
    model = serial(concat(down, relu), conv2d(1, 3))
    assert [visit.receptive_field for visit in walk(model, (8, 8, 1))] == [
        (3, 3), (3, 3), (1, 1), (5, 5),
    ]  # fmt: skip


def test_a_receptive_field_is_what_an_output_sees():
    """Move one input pixel at a time and see whether the output in the middle moves."""
    model = serial(conv2d(1, 3, stride=2), fcnn.tanh, fcnn.avg_pool2d(2), conv2d(1, 2, dilation=2))
    params, out_shape = model.init(key(1), (21, 21, 1))
    *_, last = walk(model, (21, 21, 1))
    x = np.random.default_rng(0).normal(size=(1, 21, 21, 1)).astype(np.float32)
    _, pullback = model.vjp(params, x)
    dy = np.zeros((1, *out_shape), np.float32)
    dy[0, 0, 0, 0] = 1
    _, dx = pullback(dy)
    rows, columns = np.nonzero(dx[0, :, :, 0])
    assert last.receptive_field == (np.ptp(rows) + 1, np.ptp(columns) + 1)


def test_multiply_adds_are_those_of_loops():
    loops = 0
    for _ in np.ndindex(8, 8, 4):  # outputs of conv2d(4, 3) on (10, 10, 2)
        loops += 3 * 3 * 2
    assert summary(conv2d(4, 3), (10, 10, 2)).multiply_adds == loops
    assert summary(conv2d(4, 3, groups=2), (10, 10, 2)).multiply_adds == loops // 2
    assert summary(dense(7), (5,)).multiply_adds == 35


def test_statistics_are_counted_apart():
    table = summary(batch_norm(), (4, 8))
    assert (table.params, table.statistics) == (16, 16)


def test_a_shared_layer_is_counted_once():
    tied = shared(serial(dense(4), relu))
    table = summary(serial(tied, serial(tied), dense(2)), (4,))
    assert table.params == 20 + 10
    assert [row.params for row in table.rows if row.layer == "dense(4)"] == [20, 0]


def test_a_layer_that_says_nothing_prints_a_dash():
    @fcnn.layer
    def double():
        def init(key, shape):
            return (), shape

        def apply(params, x, ctx=fcnn.EVAL):
            return 2 * x

        def vjp(params, x, ctx=fcnn.EVAL):
            return 2 * x, lambda dy: ((), 2 * dy)

        return init, apply, vjp

    model = serial(conv2d(1, 3), double(), conv2d(1, 3))
    lines = str(summary(model, (8, 8, 1))).splitlines()
    assert lines[2].split()[-2:] == ["–", "–"]
    assert lines[3].split()[-1] == "–"  # behind it the receptive field is unknown
    assert lines[-1].split()[-1] == "–"
    assert summary(model, (8, 8, 1)).multiply_adds is None
    fcnn.facts(double, multiply_adds=lambda layer, i, o: 64, window=(1, 1))
    assert summary(model, (8, 8, 1)).multiply_adds is not None
    assert str(summary(model, (8, 8, 1))).splitlines()[3].split()[-1] == "5×5"


def test_the_table_prints():
    assert str(summary(serial(named("stem", serial(conv2d(8, 3), relu)), dense(2)), (8, 8, 1))) == (
        "layer           output     params  mult-adds  field\n"
        "stem: serial\n"
        "  conv2d(8, 3)  (6, 6, 8)      80      2,592    3×3\n"
        "  relu          (6, 6, 8)       0          0    3×3\n"
        "dense(2)        (6, 6, 2)      18        576      –\n"
        "total                          98      3,168"
    )


def test_a_notebook_shows_a_table():
    from html.parser import HTMLParser

    seen = []

    class Parser(HTMLParser):
        def handle_data(self, data):
            seen.append(data)

    found = summary(MODEL, (10, 10, 1))._repr_html_()
    Parser().feed(found)
    assert "head: serial" in seen
    assert found.count("<tr>") == len(summary(MODEL, (10, 10, 1)).rows) + 2
