"""Optimizers, the gradient transforms they are chained from, and learning-rate schedules.

Start at `sgd`, `adam`, `adamw` or `rmsprop`; compose your own with
``descend(chain(clip_by_global_norm(1.0), scale_by_adam(), scale_by_learning_rate(0.001)))``.
"""

from fcnn.optim._contracts import (
    Optimizer,
    Transform,
    chain,
    optimizer,
    transform,
)
from fcnn.optim._elementwise import Elementwise, Rule, State, matrices
from fcnn.optim.optimizers import adam, adamw, descend, rmsprop, sgd
from fcnn.optim.schedules import (
    Schedule,
    constant,
    cosine,
    schedule,
    step,
    warmup,
)
from fcnn.optim.transforms import (
    add_decayed_weights,
    clip_by_global_norm,
    scale,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_rms,
    scale_by_schedule,
    trace,
)

__all__ = [
    "Elementwise",
    "Optimizer",
    "Rule",
    "Schedule",
    "State",
    "Transform",
    "adam",
    "adamw",
    "add_decayed_weights",
    "chain",
    "clip_by_global_norm",
    "constant",
    "cosine",
    "descend",
    "matrices",
    "optimizer",
    "rmsprop",
    "scale",
    "scale_by_adam",
    "scale_by_learning_rate",
    "scale_by_rms",
    "scale_by_schedule",
    "schedule",
    "sgd",
    "step",
    "trace",
    "transform",
    "warmup",
]
