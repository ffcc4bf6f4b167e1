from fcnn import separable_conv2d

CASES = [
    (separable_conv2d(3, 2), (5, 4, 2)),
    (separable_conv2d(2, 3, depth_multiplier=2, stride=2, padding="same", bias=False), (6, 5, 2)),
]  # fmt: skip
