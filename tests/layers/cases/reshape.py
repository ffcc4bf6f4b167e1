from fcnn import flatten, reshape, transpose

CASES = [
    (flatten, (2, 3, 4)),
    (reshape(6, -1), (3, 4, 2)),
    (reshape(2, 3), (6,)),
    (transpose(2, 0, 1), (3, 4, 2)),
    (transpose(1, 0), (3, 2)),
    (transpose(), ()),
]  # fmt: skip
