from fcnn import flatten, reshape

CASES = [
    (flatten, (2, 3, 4)),
    (reshape(6, -1), (3, 4, 2)),
    (reshape(2, 3), (6,)),
]  # fmt: skip
