from fcnn import conv_transpose1d, conv_transpose2d, conv_transpose3d

CASES = [
    (conv_transpose3d(1, 1, dilation=2), (2, 2, 4, 4)),
    (conv_transpose1d(3, 4, stride=2, padding=1), (5, 2)),
    (conv_transpose1d(2, 3, dilation=2, bias="untied", flip=True), (4, 2)),
    (conv_transpose1d(4, 2, stride=3, output_padding=2, groups=2, bias=None), (3, 2)),
    (conv_transpose2d(3, 2, stride=2), (3, 4, 2)),
    (conv_transpose2d(4, 2, stride=2, groups=2, bias=None), (2, 3, 2)),
    (conv_transpose2d(1, 1), (1, 1, 1)),
    (conv_transpose2d(2, 3, padding="same"), (4, 3, 2)),
    (conv_transpose2d(2, 3, stride=2, padding="same", bias="untied"), (3, 2, 2)),
    (conv_transpose2d(2, (3, 2), stride=(2, 3), padding=((1, 0), (0, 1)), output_padding=(1, 2),
                      dilation=(2, 1), flip=True), (3, 2, 1)),
    (conv_transpose2d(4, 3, stride=2, padding=1, groups=2, bias=None), (3, 3, 2)),
    (conv_transpose2d(6, 3, groups=3, padding=(0, 1)), (3, 2, 3)),
    (conv_transpose3d(2, 2, stride=2), (2, 1, 2, 3)),
    (conv_transpose3d(2, 3, padding=1, bias="untied", flip=True), (2, 3, 2, 1)),
    (conv_transpose3d(4, (2, 1, 3), stride=(2, 1, 1), output_padding=(1, 0, 0), dilation=(1, 1, 2),
                      groups=2, bias=None), (2, 2, 1, 2)),
]  # fmt: skip
