from fcnn import avg_pool2d, max_pool2d

CASES = [
    (max_pool2d(2), (5, 4, 2)),
    (max_pool2d(3, stride=1), (5, 4, 2)),
    (max_pool2d((3, 2), stride=2, padding="same"), (6, 5, 2)),
    (max_pool2d(2, stride=3, padding=((1, 0), (0, 1))), (6, 5, 1)),
    (avg_pool2d(2), (5, 4, 2)),
    (avg_pool2d((2, 3), stride=1, padding=1), (5, 4, 2)),
    (avg_pool2d(3, stride=2, padding="same"), (5, 4, 2)),
]  # fmt: skip
