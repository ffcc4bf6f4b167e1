from fcnn import dropout, spatial_dropout, stochastic_depth

CASES = [
    (dropout(0.3), (4, 4, 3)),
    (dropout(0.0), (3,)),
    (spatial_dropout(0.4), (4, 3, 5)),
    (spatial_dropout(0.4), (5,)),
    (stochastic_depth(0.4), (2, 3)),
]  # fmt: skip
