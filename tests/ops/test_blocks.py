"""The cut of an output into blocks within the budget."""

from unittest import mock

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from fcnn._ops import blocks
from fcnn._ops.blocks import Block, bands, cut

SIZE = st.integers(1, 40)
UNIT = st.integers(1, 5)


@given(
    out=st.tuples(SIZE, SIZE),
    unit=st.tuples(UNIT, UNIT),
    size=st.integers(1, 300),
    each=st.integers(1, 3),
    shared=st.integers(0, 4),
    least=st.integers(1, 8),
    even=st.booleans(),
)
@example((10, 10), (1, 1), 20, 1, 4, 1, True)  # only what blocks share is over the budget
def test_blocks_cover_the_output_once_within_the_budget(out, unit, size, each, shared, least, even):
    with mock.patch.object(blocks, "BUDGET", 4000):
        found = cut(out, size, 1 / 2, unit=unit, each=each, shared=shared, least=least, even=even)
    covered = np.zeros(out, int)
    for block in found:
        covered[block] += 1
        assert block.rows.start % unit[0] == block.cols.start % unit[1] == 0
        rows, cols = (-(-n // u) for n, u in zip(block.size, unit, strict=True))
        assert (each * rows + shared) * cols * size <= 2000 or rows == cols == 1
    assert (covered == 1).all()


def test_a_block_over_the_budget_has_one_unit():
    with mock.patch.object(blocks, "BUDGET", 10):
        found = cut((4, 5), 11, unit=(2, 2))
    assert [block.size for block in found] == [(2, 2), (2, 2), (2, 1)] * 2


def test_even_blocks_differ_by_less_than_those_that_are_filled():
    with mock.patch.object(blocks, "BUDGET", 90):
        even = [block.size[0] for block in cut((10, 1), 10)]
        filled = [block.size[0] for block in cut((10, 1), 10, even=False)]
    assert even == [5, 5]
    assert filled == [9, 1]


def test_columns_are_cut_only_where_few_rows_are_over_the_budget():
    with mock.patch.object(blocks, "BUDGET", 100):
        assert {block.size for block in cut((8, 10), 1, least=8)} == {(8, 10)}
        assert {block.size for block in cut((8, 20), 1, least=4)} == {(4, 20)}
        assert {block.size for block in cut((8, 20), 1, least=8)} == {(8, 10)}


def test_bands():
    with mock.patch.object(blocks, "BUDGET", 100):
        assert bands(7, 10, 1 / 2) == [slice(0, 5), slice(5, 7)]
        assert bands(2, 0, 1 / 2) == [slice(0, 2)]


def test_a_block_is_a_view():
    image = np.arange(6 * 2 * 8 * 3).reshape(6, 2, 8, 3)
    block = Block(slice(2, 6), slice(4, 8))
    assert block.size == (4, 4)
    assert np.shares_memory(block.of(image), image)
    np.testing.assert_array_equal(block.of(image), image[2:6, :, 4:8])
    assert block.pooled((2, 4)) == Block(slice(1, 3), slice(1, 2))
