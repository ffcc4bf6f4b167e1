import copy
import pickle

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
        with pytest.raises(TreeError, match="has 2 leaves, and 1 came"):
            tree.unflatten(tree.structure((1.0, 2.0)), [1.0])

    @pytest.mark.parametrize(
        "intruder",
        [[1.0], None, "text", {1.0}, object()],
        ids=["list", "None", "str", "set", "object"],
    )
    def test_what_is_no_tree_is_refused_with_its_path(self, intruder):
        with pytest.raises(TreeError, match=rf"\[1\]\['a'\] came a {type(intruder).__name__}"):
            tree.leaves((1.0, {"a": intruder}))
        with pytest.raises(TreeError, match="its root"):
            tree.leaves(intruder)

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
            ((1.0, 2.0), (1.0,), "at their root: a tuple of 2 against a tuple of 1"),
            ((1.0, (2.0,)), (1.0, 2.0), r"at \[1\]: a tuple of 1 against 2.0"),
            ({"a": 1.0}, {"b": 1.0}, "at their root: a dict of 1 against a dict of 1"),
            (
                ({"k": np.ones(2)},),
                ({"k": np.ones(3)},),
                r"at \[0\]\['k'\]: an array of shape \(2,\) against an array of shape \(3,\)",
            ),
            (
                (Affine(np.ones(2), np.ones(1)),),
                (Affine(np.ones(2), np.ones(4)),),
                r"at \[0\].bias: .*\(1,\).*\(4,\)",
            ),
            ((Affine(1.0, 2.0),), (Norm(1.0, 2.0),), r"at \[0\]: a Affine against a Norm"),
            ((Affine(1.0, ()),), (Affine(1.0, 2.0),), r"at \[0\].bias: a tuple of 0 against 2.0"),
            ((1.0, ()), (1.0, {}), r"at \[1\]: a tuple of 0 against a dict of 0"),
        ],
    )
    def test_trees_that_differ_raise_with_the_path_of_the_first_difference(self, a, b, message):
        with pytest.raises(TreeError, match=message):
            tree.map(lambda x, y: x, a, b)
        with pytest.raises(TreeError, match="the trees differ"):
            tree.map(lambda x, y: x, b, a)
        assert not tree.equal(a, b)
        assert not tree.allclose(a, b)

    def test_the_third_tree_is_looked_at_too(self):
        with pytest.raises(TreeError, match=r"at \[0\]"):
            tree.map(lambda *x: x, (np.ones(1),), (np.ones(1),), (np.ones(2),))


class TestRavel:
    @given(trees)
    def test_round_trip(self, t):
        vector, unravel = tree.ravel(t)
        assert vector.ndim == 1
        assert vector.size == sum(np.size(leaf) for leaf in tree.leaves(t))
        assert tree.allclose(unravel(vector), t, rtol=0, atol=0)

    @given(trees)
    def test_is_linear(self, t):
        vector, unravel = tree.ravel(t)
        doubled = tree.map(lambda leaf: 2 * leaf, t)
        assert tree.allclose(unravel(2 * vector), doubled)

    @pytest.mark.parametrize("length", [0, 2, 4])
    def test_refuses_a_vector_of_another_length(self, length):
        _, unravel = tree.ravel((np.ones(2), 1.0))
        with pytest.raises(TreeError, match="a vector of 3"):
            unravel(np.ones(length))
        _, unravel = tree.ravel(())
        with pytest.raises(TreeError, match="a vector of 0"):
            unravel(np.ones(1))


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
