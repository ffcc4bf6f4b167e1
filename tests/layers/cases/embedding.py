from fcnn import dense, embedding, flatten, serial
from fcnn.initializers import uniform

CASES = [
    (embedding(2, 3), (5,)),
    (embedding(4, 2, weight_init=uniform(-1, 1)), (3, 2)),
    (embedding(3, 2), ()),
    (serial(embedding(5, 2, padding_index=0), flatten, dense(2)), (4,)),
]  # fmt: skip
