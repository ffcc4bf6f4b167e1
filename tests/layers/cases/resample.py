from fcnn import pixel_shuffle, pixel_unshuffle, resize2d, upsample2d

CASES = [
    (upsample2d(2), (3, 2, 2)),
    (upsample2d((3, 1)), (2, 3, 1)),
    (upsample2d(2, "bilinear"), (3, 2, 2)),
    (upsample2d((1, 3), "bilinear"), (2, 1, 2)),
    (resize2d((5, 3)), (3, 4, 2)),
    (resize2d((5, 2), "bilinear"), (3, 7, 2)),
    (resize2d((3, 4), "bilinear"), (3, 4, 2)),
    (pixel_shuffle((2, 1)), (2, 3, 4)),
    (pixel_unshuffle((2, 3)), (4, 6, 2)),
]
