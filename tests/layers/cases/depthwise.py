from fcnn import depthwise_conv2d

CASES = [
    (depthwise_conv2d(3), (5, 4, 2)),
    (depthwise_conv2d(3, padding="same"), (6, 5, 3)),
    (depthwise_conv2d(2, depth_multiplier=2, stride=2, padding=1), (5, 4, 2)),
    (depthwise_conv2d((3, 1), dilation=(2, 1), bias=False), (6, 3, 1)),
    (depthwise_conv2d(1), (1, 1, 2)),
    (depthwise_conv2d((2, 3), stride=(3, 2), padding=((2, 0), (1, 3)), dilation=2), (7, 6, 2)),
]  # fmt: skip
