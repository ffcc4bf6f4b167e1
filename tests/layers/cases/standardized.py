from fcnn import conv2d, dense, depthwise_conv2d, group_norm, relu, serial, weight_standardized

CASES = [
    (weight_standardized(conv2d(3, 2)), (5, 4, 2)),
    (weight_standardized(conv2d(4, 3, groups=2, bias=None, padding=1), eps=0.1), (4, 5, 4)),
    (weight_standardized(dense(3)), (4,)),
    (serial(weight_standardized(conv2d(4, 2)), group_norm(2), relu,
            weight_standardized(depthwise_conv2d(2))), (5, 4, 2)),
]  # fmt: skip
