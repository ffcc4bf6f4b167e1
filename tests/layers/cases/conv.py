from fcnn import conv2d

CASES = [
    (conv2d(3, 2), (5, 4, 2)),
    (conv2d(1, 1), (1, 1, 1)),
    (conv2d(2, 3, flip=True), (5, 4, 2)),
    (conv2d(2, 3, bias="untied"), (4, 5, 1)),
    (conv2d(2, 3, bias=None), (4, 5, 1)),
    (conv2d(2, 3, stride=2, padding="same"), (5, 6, 2)),
    (conv2d(2, (1, 3), stride=(3, 1), padding=2), (5, 6, 2)),
    (conv2d(2, 3, padding=((1, 2), (0, 3))), (1, 2, 1)),
    (conv2d(2, 2, dilation=(2, 3)), (5, 6, 2)),
    (conv2d(4, 2, groups=2), (4, 3, 6)),
    (conv2d(6, 3, groups=3, bias=None), (4, 5, 3)),
    (
        conv2d(4, (3, 2), stride=(2, 1), padding="same", dilation=(1, 2), groups=2,
               bias="untied", flip=True),
        (7, 6, 4),
    ),
]  # fmt: skip
