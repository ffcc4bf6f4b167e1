from fcnn import crop2d, pad1d, pad2d

CASES = [
    (pad2d(1), (3, 2, 2)),
    (pad2d(((2, 0), (0, 1)), value=3.0), (3, 2, 1)),
    (pad2d((2, 1), "reflect"), (3, 4, 2)),
    (pad2d(((0, 3), (1, 0)), "replicate"), (2, 3, 2)),
    (pad2d(((3, 2), (0, 1)), "circular"), (3, 2, 2)),
    (pad1d((2, 3), "circular"), (4, 2)),
    (crop2d(((1, 0), (0, 2))), (3, 4, 2)),
    (crop2d(size=(2, 3)), (3, 6, 2)),
]
