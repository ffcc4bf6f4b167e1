from fcnn import glu

CASES = [
    (glu(), (6,)),
    (glu(0), (4, 3, 1)),
    (glu(axis=-2), (3, 2, 2)),
]  # fmt: skip
