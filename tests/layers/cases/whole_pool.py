from fcnn import adaptive_avg_pool, adaptive_max_pool, global_avg_pool, global_max_pool

CASES = [
    (global_avg_pool(), (5, 4, 2)),
    (global_avg_pool(keepdims=True), (7, 2)),
    (global_avg_pool(), (3, 2, 3, 2)),
    (global_max_pool(), (5, 4, 2)),
    (global_max_pool(keepdims=True), (2, 3, 2, 2)),
    (adaptive_avg_pool((3, 2)), (5, 4, 2)),
    (adaptive_avg_pool((2, None, 3)), (3, 2, 2, 1)),
    (adaptive_avg_pool(3), (3, 3, 2)),
    (adaptive_max_pool((3, 6)), (5, 4, 2)),
    (adaptive_max_pool(2), (5, 2)),
    (adaptive_max_pool((2, None, 2)), (3, 2, 3, 1)),
]
