from fcnn import squeeze_excite

CASES = [
    (squeeze_excite(2), (3, 4, 5)),
    (squeeze_excite(), (4, 2)),
]  # fmt: skip
