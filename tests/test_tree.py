import copy
import pickle
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fcnn import tree
from fcnn.errors import TreeError


@tree.node
class Affine:
    weight: np.ndarray
    bias: np.ndarray


@tree.node
class Norm:
    scale: np.ndarray
    mean: np.ndarray = tree.statistic()


class Pair(NamedTuple):
    left: object
    right: object


FUNCTIONS = [
    tree.leaves, tree.paths, tree.statistics, tree.structure, tree.flatten, tree.ravel,
    tree.zeros_like, tree.norm, tree.digest,
]  # fmt: skip


def _map_one(t):
    return tree.map(lambda leaf: leaf, t)


def _map_two(t):
    return tree.map(lambda a, b: a, t, t)


def _map_three(t):
    return tree.map(lambda a, b, c: a, t, t, t)


def _astype(t):
    return tree.astype(t, np.float32)


def _equal(t):
    return tree.equal(t, t)


FUNCTIONS += [_map_one, _map_two, _map_three, _astype, _equal]

leaf = arrays(
    st.sampled_from([np.float32, np.float64]),
    array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    elements=st.floats(-1e3, 1e3, width=32),
).map(np.asarray)
trees = st.recursive(
    leaf | st.just(()),
    lambda children: (
        st.lists(children, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from("abc"), children, max_size=3)
        | st.builds(Affine, children, children)
        | st.builds(Norm, children, children)
    ),
    max_leaves=6,
)


class TestNode:
    def test_holds_read_only_views_and_leaves_the_callers_array_alone(self):
        w = np.ones((2, 3))
        held = Affine(w, {"deep": (w,)})
        for array in (held.weight, held.bias["deep"][0]):
            assert np.shares_memory(array, w)
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
        w[0] = 5  # the caller's still

    def test_is_frozen(self):
        with pytest.raises(AttributeError):
            Affine(np.ones(1), np.ones(1)).weight = np.zeros(1)

    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    def test_pickles_and_comes_back_read_only(self, protocol):
        node = Norm(np.arange(3.0), (np.ones(2, np.float32), {"a": np.float64(1)}))
        again = pickle.loads(pickle.dumps(node, protocol))
        assert again == node
        assert not again.scale.flags.writeable
        assert not again.mean[0].flags.writeable

    def test_copies_are_equal_and_read_only(self):
        node = Affine(np.ones(2), np.zeros(1))
        for again in (copy.copy(node), copy.deepcopy(node)):
            assert again == node
            assert not again.weight.flags.writeable

    def test_equality_is_by_value(self):
        one = Affine(np.array([1.0, np.nan]), np.zeros(2))
        assert one == Affine(np.array([1.0, np.nan]), np.zeros(2))
        assert one != Affine(np.array([1.0, 2.0]), np.zeros(2))
        assert one != Affine(np.array([1.0, np.nan], np.float32), np.zeros(2))
        assert one != Affine(np.array([[1.0, np.nan]]), np.zeros(2))
        assert one != Norm(np.array([1.0, np.nan]), np.zeros(2))
        assert one != "something else"
        assert (one == 3) is False

    def test_hash_agrees_with_equality(self):
        one, same = (Affine(np.array([1.0, np.nan]), np.zeros(2)) for _ in range(2))
        assert hash(one) == hash(same)
        assert {one: "found"}[same] == "found"

    def test_prints_its_fields(self):
        assert "Affine(weight=array([1.])" in repr(Affine(np.ones(1), ()))


class TestStructure:
    @given(trees)
    def test_flatten_and_unflatten_are_inverse(self, t):
        leaves, structure = tree.flatten(t)
        assert tree.equal(tree.unflatten(structure, leaves), t)
        assert len(leaves) == structure.size == len(tree.paths(t)) == len(tree.statistics(t))
        assert tree.structure(tree.unflatten(structure, leaves)) == structure
        assert pickle.loads(pickle.dumps(structure)) == structure
        assert hash(structure) == hash(tree.structure(t))

    @given(trees)
    def test_paths_lead_to_their_leaves(self, t):
        for path, leaf in zip(tree.paths(t), tree.leaves(t), strict=True):
            assert eval("t" + path, {"t": t}) is leaf

    def test_unflatten_counts(self):
        with pytest.raises(TreeError, match=r"expected 2 leaves .*, got 1"):
            tree.unflatten(tree.structure((1.0, 2.0)), [1.0])

    @pytest.mark.parametrize(
        "intruder",
        ["text", {1.0}, object(), b"bytes", slice(3)],
        ids=["str", "set", "object", "bytes", "slice"],
    )
    @pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
    def test_what_is_no_tree_is_refused_with_its_path(self, function, intruder):
        name = type(intruder).__name__
        with pytest.raises(TreeError, match=rf"got {name} at \[1\]\['a'\]"):
            function((1.0, {"a": intruder}))
        with pytest.raises(TreeError, match=f"got {name} at the root"):
            function(intruder)

    @pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
    def test_dict_keys_that_do_not_sort_are_refused_with_their_path(self, function):
        with pytest.raises(TreeError, match=r"got int, str at \[0\]; use strings"):
            function(({1: 1.0, "a": 2.0},))

    def test_lists_namedtuples_and_none_are_nodes(self):
        t = [1.0, Pair(np.ones(2), None), (None, {"a": [2.0]})]
        doubled = tree.map(lambda leaf: 2 * leaf, t)
        assert tree.equal(doubled, [2.0, Pair(2 * np.ones(2), None), (None, {"a": [4.0]})])
        assert tree.paths(t) == ["[0]", "[1].left", "[2][1]['a'][0]"]
        assert tree.structure(t) == tree.structure(doubled) != tree.structure(tuple(t))
        assert type(tree.zeros_like(t)[1]) is Pair
        assert tree.astype(Pair([np.ones(2)], 1), np.float32).left[0].dtype == np.float32
        with pytest.raises(TreeError, match=r"got a list of 1 and a tuple of 1 at \[0\]"):
            tree.map(lambda a, b: a, ([1.0],), ((1.0,),))
        held = Affine([np.ones(2)], Pair(np.ones(1), None))
        assert type(held.weight) is tuple  # nothing in a node can be changed
        assert not held.bias.left.flags.writeable

    def test_statistics_are_marked_however_deep(self):
        t = (Norm(np.ones(1), (np.ones(1), {"a": np.ones(1)})), np.ones(1))
        assert tree.statistics(t) == [False, True, True, False]
        assert tree.statistics(Norm(Norm(1.0, 2.0), Affine(3.0, 4.0))) == [False, True, True, True]


class TestMap:
    @given(trees)
    def test_identity(self, t):
        assert tree.equal(tree.map(lambda leaf: leaf, t), t)

    @given(trees)
    def test_composition(self, t):
        both = tree.map(lambda x: 2 * x + 1, t)
        assert tree.equal(both, tree.map(lambda x: x + 1, tree.map(lambda x: 2 * x, t)))

    @given(trees)
    def test_several_trees_go_in_step(self, t):
        total = tree.map(lambda a, b, c: a + b + c, t, t, t)
        assert tree.allclose(total, tree.map(lambda a: 3 * a, t))

    def test_statistics_have_a_function_of_their_own(self):
        t = (Norm(1.0, (2.0, Affine(3.0, 4.0))), 5.0)
        marked = tree.map(lambda x: 0.0, t, statistic=lambda x: x)
        assert tree.leaves(marked) == [0, 2, 3, 4, 0]

    def test_dicts_are_matched_by_name(self):
        result = tree.map(lambda a, b: a - b, {"a": 1.0, "b": 2.0}, {"b": 20.0, "a": 10.0})
        assert result == {"a": -9.0, "b": -18.0}

    @pytest.mark.parametrize(
        ("a", "b", "message"),
        [
            ((1.0, 2.0), (1.0,), "a tuple of 2 and a tuple of 1 at the root"),
            ((1.0, (2.0,)), (1.0, 2.0), r"a tuple of 1 and 2.0 at \[1\]"),
            ({"a": 1.0}, {"b": 1.0}, "a dict of 'a' and a dict of 'b' at the root"),
            (
                ({"k": np.ones(2)},),
                ({"k": np.ones(3)},),
                r"an array of shape \(2,\) and an array of shape \(3,\) at \[0\]\['k'\]",
            ),
            (
                (Affine(np.ones(2), np.ones(1)),),
                (Affine(np.ones(2), np.ones(4)),),
                r"\(1,\).*\(4,\) at \[0\].bias",
            ),
            ((Affine(1.0, 2.0),), (Norm(1.0, 2.0),), r"a Affine and a Norm at \[0\]"),
            ((Affine(1.0, ()),), (Affine(1.0, 2.0),), r"a tuple of 0 and 2.0 at \[0\].bias"),
            ((1.0, ()), (1.0, {}), r"a tuple of 0 and an empty dict at \[1\]"),
        ],
    )
    def test_trees_that_differ_raise_with_the_path_of_the_first_difference(self, a, b, message):
        with pytest.raises(TreeError, match=message):
            tree.map(lambda x, y: x, a, b)
        with pytest.raises(TreeError, match="expected trees of one structure"):
            tree.map(lambda x, y: x, b, a)
        assert not tree.equal(a, b)
        assert not tree.allclose(a, b)

    def test_the_third_tree_is_looked_at_too(self):
        with pytest.raises(TreeError, match=r"at \[0\]"):
            tree.map(lambda *x: x, (np.ones(1),), (np.ones(1),), (np.ones(2),))


class TestRavel:
    @given(trees)
    def test_round_trip(self, t):
        for statistics in (False, True):
            vector, unravel = tree.ravel(t, statistics=statistics)
            assert vector.ndim == 1
            sizes = zip(tree.leaves(t), tree.statistics(t), strict=True)
            assert vector.size == sum(np.size(a) for a, mark in sizes if statistics or not mark)
            assert tree.equal(unravel(vector), t)  # dtypes too

    @given(trees)
    def test_is_linear(self, t):
        vector, unravel = tree.ravel(t)
        doubled = tree.map(lambda leaf: 2 * leaf, t, statistic=lambda leaf: leaf)
        assert tree.allclose(unravel(2 * vector), doubled)

    @pytest.mark.parametrize("length", [0, 2, 4])
    def test_refuses_a_vector_of_another_length(self, length):
        _, unravel = tree.ravel((np.ones(2), 1.0))
        with pytest.raises(TreeError, match="a vector of 3 numbers"):
            unravel(np.ones(length))
        _, unravel = tree.ravel(())
        with pytest.raises(TreeError, match="a vector of 0 numbers"):
            unravel(np.ones(1))


class TestObservation:
    SEEN = tree.Observation(np.array([4.0, 8.0], np.float32), 0.75)

    @pytest.mark.parametrize(
        "use",
        [
            lambda o, a: a - 0.1 * o, lambda o, a: a - o, lambda o, a: o - a, lambda o, a: -o,
            lambda o, a: np.subtract(a, o), lambda o, a: np.asarray(o), lambda o, a: o / 2,
            lambda o, a: np.float32(2) * o, lambda o, a: o * 2, lambda o, a: np.sum(o),
            lambda o, a: a @ o, lambda o, a: o + o, lambda o, a: o < 1, lambda o, a: float(o),
            lambda o, a: abs(o), lambda o, a: o**2, lambda o, a: np.add(a, o, out=a),
            lambda o, a: np.where(a > 0, o, a), lambda o, a: list(o), lambda o, a: o[0],
            lambda o, a: tree.ravel((o,)),
        ],
    )  # fmt: skip
    def test_no_arithmetic_takes_it_for_a_gradient(self, use):
        with pytest.raises(TypeError, match=r"got an Observation .* tree.observe\(params, grads\)"):
            use(self.SEEN, np.ones(2, np.float32))

    def test_a_hand_written_step_on_statistics_raises_and_says_what_to_call(self):
        params, grads = Norm(np.ones(2), np.zeros(2)), Norm(np.ones(2), self.SEEN)
        with pytest.raises(TypeError, match=r"statistic=tree\.mix"):
            tree.map(lambda p, g: p - 0.1 * g, params, grads)
        stepped = tree.map(lambda p, g: p - 0.1 * g, params, grads, statistic=tree.mix)
        assert stepped == Norm(np.full(2, 0.9), np.array([1.0, 2.0]))
        assert tree.observe(params, grads) == Norm(np.ones(2), np.array([1.0, 2.0]))

    def test_zero_gradients_leave_statistics_as_they_are(self):
        params, grads = Norm(np.ones(2), np.arange(2.0)), Norm(np.ones(2), self.SEEN)
        stepped = tree.map(np.subtract, params, tree.zeros_like(grads), statistic=tree.mix)
        assert stepped == params

    def test_a_statistic_that_is_a_number_stays_one(self):
        new = tree.observe(Norm(1.0, 2.0), Norm(1.0, tree.Observation(np.array(4.0), 0.5)))
        assert new == Norm(1.0, 3.0)
        assert type(new.mean) is float

    def test_mixing_an_array_in_is_refused(self):
        with pytest.raises(TypeError, match=r"expected an Observation .*, got ndarray"):
            tree.observe(Norm(1.0, np.zeros(2)), Norm(1.0, np.zeros(2)))

    def test_is_a_frozen_value(self):
        again = pickle.loads(pickle.dumps(self.SEEN, 5))
        assert again == self.SEEN == eval(repr(self.SEEN), {**vars(np), **vars(tree)})
        assert hash(again) == hash(self.SEEN)
        assert tree.Observation(self.SEEN.value, 0.5) != self.SEEN
        assert tree.Observation(self.SEEN.value.astype(float), 0.75) != self.SEEN
        assert not again.value.flags.writeable
        with pytest.raises(AttributeError):
            again.weight = 1.0

    def test_trees_hold_it_as_a_leaf(self):
        grads = Norm(np.ones(2), self.SEEN)
        assert tree.leaves(grads)[1] is self.SEEN
        assert tree.structure(grads) == tree.structure(Norm(1.0, 2.0))
        other = Norm(np.ones(2), tree.Observation(self.SEEN.value, 0.5))
        assert tree.digest(grads) != tree.digest(other)
        assert tree.equal(grads, grads)
        assert not tree.equal(grads, other)
        assert not tree.allclose(grads, other)
        assert tree.astype(grads, np.float64).mean.dtype == np.float64
        assert tree.norm(grads) == np.sqrt(2)
        np.testing.assert_array_equal(tree.ravel(grads)[0], [1, 1])

    def test_average_weighs_in_order(self):
        seen = [tree.Observation(np.array([x]), w) for x, w in ((1.0, 0.5), (4.0, 0.8))]
        mean = tree.average(seen, [0.25, 0.75])
        assert mean.value[0] == 3.25
        assert mean.weight == pytest.approx(0.725)


class TestNumbers:
    @given(trees)
    def test_zeros_like(self, t):
        zeros = tree.zeros_like(t)
        assert tree.structure(zeros) == tree.structure(t)
        for zero, leaf in zip(tree.leaves(zeros), tree.leaves(t), strict=True):
            assert zero.dtype == leaf.dtype
            assert zero.shape == leaf.shape
            assert not zero.any()

    @given(trees, st.sampled_from([np.float32, np.float64]))
    def test_astype(self, t, dtype):
        cast = tree.astype(t, dtype)
        assert all(leaf.dtype == dtype for leaf in tree.leaves(cast))
        assert tree.structure(cast) == tree.structure(t)

    def test_astype_leaves_whole_numbers_alone(self):
        cast = tree.astype((np.arange(3), 7), np.float32)
        assert cast[0].dtype == np.arange(3).dtype
        assert cast[1] == 7

    @given(trees)
    def test_norm_is_that_of_the_vector_without_statistics(self, t):
        plain = [
            np.asarray(leaf, float).ravel()
            for leaf, mark in zip(tree.leaves(t), tree.statistics(t), strict=True)
            if not mark
        ]
        expected = np.linalg.norm(np.concatenate([*plain, np.zeros(1)]))
        assert tree.norm(t) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize(
        "leaf",
        [
            np.array([200], np.uint8), np.array([50000], np.int32), np.array([200], np.int16),
            np.array([3e-30, 4e-30], np.float32), np.array([3e200, 4e200]),
            np.array([3e-300, 4e-300]), np.array([3e300, 4e300]), np.array([True, True]),
            np.array([60000.0] * 4, np.float16), np.array([1e-38, 1.0], np.float32), np.zeros(3),
            np.array([5e-324]), np.zeros(0), np.array([3e38, 3e38], np.float32),
            np.array([-np.inf, 1]), np.array([np.nan, 1]), np.array([np.inf, np.nan]),
        ],
        ids=str,
    )  # fmt: skip
    def test_norm_is_right_for_every_dtype_and_range(self, leaf):
        wide = leaf.astype(np.longdouble)
        expected = float(np.sqrt(np.sum(wide * wide)))
        np.testing.assert_allclose(tree.norm((leaf,)), expected, rtol=1e-6)
        np.testing.assert_allclose(tree.norm((leaf, leaf)), expected * np.sqrt(2), rtol=1e-6)

    def test_norm_of_complex_numbers_is_that_of_their_absolute_values(self):
        assert tree.norm((np.array([3 + 4j]), np.array([12.0]))) == 13
        assert tree.norm((np.array([3e300 + 4e300j], np.complex128),)) == pytest.approx(5e300)
        assert tree.norm((np.array([3 + 4j], np.complex64),)) == 5

    def test_norm_passes_statistics_over(self):
        assert tree.norm(Norm(np.array([3.0, 4.0]), np.array([1e9]))) == 5

    def test_allclose(self):
        a = (np.ones(3), {"k": np.array([np.nan, 1.0])})
        b = (np.ones(3) + 1e-7, {"k": np.array([np.nan, 1.0])})
        assert tree.allclose(a, b)
        assert not tree.allclose(a, b, rtol=1e-9)
        assert not tree.equal(a, b)
        assert not tree.allclose((np.ones(3),), (np.ones((1, 3)),))  # no broadcasting

    def test_equal_looks_at_the_dtype(self):
        assert tree.equal((np.ones(2), ()), (np.ones(2), ()))
        assert not tree.equal(np.ones(2), np.ones(2, np.float32))

    @given(trees)
    def test_digest_is_of_the_bits(self, t):
        copied = tree.map(np.array, t)
        assert tree.digest(t) == tree.digest(copied)
        strided = tree.map(lambda leaf: np.asfortranarray(leaf) if leaf.ndim else leaf, t)
        assert tree.digest(t) == tree.digest(strided)

    def test_digest_sees_every_bit_name_shape_and_dtype(self):
        variants = [
            np.zeros(2), -np.zeros(2), np.zeros(2, np.float32), np.zeros((1, 2)), (np.zeros(2),),
            {"a": np.zeros(2)}, {"b": np.zeros(2)}, np.array([0, 5e-324]), (np.zeros(1),) * 2, (),
        ]  # fmt: skip
        assert len({tree.digest(each) for each in variants}) == len(variants)
