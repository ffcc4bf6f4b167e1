from fcnn import group_norm, instance_norm, layer_norm, rms_norm

CASES = [
    (layer_norm(), (4,)),
    (layer_norm(eps=0.1), (3, 4, 3)),
    (layer_norm(scale=False), (2, 5)),
    (layer_norm(bias=False), (2, 5)),
    (layer_norm(axes=None), (3, 2, 4)),
    (layer_norm(axes=(-2, -1), eps=0.01), (2, 3, 2)),
    (layer_norm(axes=None, scale=False, bias=False), (3, 4)),
    (rms_norm(), (4,)),
    (rms_norm(scale=False, eps=0.1), (3, 4, 3)),
    (group_norm(1), (4,)),
    (group_norm(2), (3, 4, 6)),
    (group_norm(3, scale=False, bias=False, eps=0.1), (5, 3)),
    (group_norm(2, bias=False), (2, 3, 2, 4)),
    (instance_norm(), (4, 3, 2)),
    (instance_norm(scale=False), (7, 3)),
]  # fmt: skip
