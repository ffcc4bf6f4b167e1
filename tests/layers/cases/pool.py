from fcnn import avg_pool1d, avg_pool2d, avg_pool3d, lp_pool2d, max_pool1d, max_pool2d, max_pool3d

CASES = [
    (max_pool2d(2), (5, 4, 2)),
    (max_pool2d(3, stride=1), (5, 4, 2)),
    (max_pool2d((3, 2), stride=2, padding="same"), (6, 5, 2)),
    (max_pool2d(2, stride=3, padding=((1, 0), (0, 1))), (6, 5, 1)),
    (max_pool2d((2, 3), stride=1, padding="same", dilation=(3, 2)), (6, 7, 2)),
    (avg_pool2d(2), (5, 4, 2)),
    (avg_pool2d((2, 3), stride=1, padding=1), (5, 4, 2)),
    (avg_pool2d(3, stride=2, padding="same"), (5, 4, 2)),
    (avg_pool2d((2, 3), stride=1, padding=1, count_include_pad=True), (5, 4, 2)),
    (max_pool1d(3, stride=2, padding=(1, 0)), (6, 2)),
    (max_pool1d(2, stride=1, dilation=3), (7, 2)),
    (avg_pool1d(3, stride=2, padding="same"), (6, 2)),
    (max_pool3d(2), (4, 3, 5, 2)),
    (max_pool3d((2, 3, 2), stride=(1, 2, 1), padding=((0, 1), (1, 1), (1, 0))), (3, 4, 3, 2)),
    (avg_pool3d((2, 1, 3), stride=1, padding="same"), (3, 2, 4, 2)),
    (avg_pool3d(2, stride=1, padding=1, count_include_pad=True), (2, 3, 2, 1)),
    (lp_pool2d(2, 2), (5, 4, 2)),
    (lp_pool2d(1, (1, 2), stride=1, padding="same"), (3, 4, 2)),
    (lp_pool2d(3, 2, stride=1), (3, 4, 2)),
    (lp_pool2d(2.5, (2, 3), stride=2, padding=(1, 0)), (5, 4, 2)),
]  # fmt: skip
