"""Optimizers, the gradient transforms that they are chained from, and learning-rate schedules.

Start at `sgd`, `adam`, `adamw` or `rmsprop`; compose others with
``descend(chain(clip_by_global_norm(1.0), scale_by_adam(), scale_by_learning_rate(0.001)))``.
"""

from fcnn.optim._contracts import (
    Optimizer,
    Transform,
    apply_updates,
    optimizer,
    transform,
)
from fcnn.optim._states import (
    EmptyState,
    ParamsEmaState,
    ScaleByLearningRateState,
    current_learning_rate,
    current_params_ema,
)
from fcnn.optim.combine import chain, descend
from fcnn.optim.masks import (
    MaskedState,
    freeze,
    masked,
    matrices,
    set_to_zero,
)
from fcnn.optim.moments import (
    EmaState,
    ScaleByAdamState,
    ScaleByRmsState,
    TraceState,
    ema,
    scale_by_adam,
    scale_by_rms,
    trace,
)
from fcnn.optim.optimizers import adam, adamw, rmsprop, sgd
from fcnn.optim.partitions import PartitionState, partition
from fcnn.optim.penalties import (
    Penalty,
    add_penalty,
    l1_penalty,
    l2_penalty,
    penalized,
    penalty,
)
from fcnn.optim.schedules import (
    Schedule,
    as_schedule,
    constant_schedule,
    cosine,
    schedule,
    step_decay,
    warmup,
)
from fcnn.optim.transforms import (
    ScaleByScheduleState,
    add_decayed_weights,
    clip_by_global_norm,
    scale,
    scale_by_learning_rate,
    scale_by_schedule,
)
from fcnn.optim.wrappers import AccumulateState, accumulate, params_ema

__all__ = [
    "AccumulateState",
    "EmaState",
    "EmptyState",
    "MaskedState",
    "Optimizer",
    "ParamsEmaState",
    "PartitionState",
    "Penalty",
    "ScaleByAdamState",
    "ScaleByLearningRateState",
    "ScaleByRmsState",
    "ScaleByScheduleState",
    "Schedule",
    "TraceState",
    "Transform",
    "accumulate",
    "adam",
    "adamw",
    "add_decayed_weights",
    "add_penalty",
    "apply_updates",
    "as_schedule",
    "chain",
    "clip_by_global_norm",
    "constant_schedule",
    "cosine",
    "current_learning_rate",
    "current_params_ema",
    "descend",
    "ema",
    "freeze",
    "l1_penalty",
    "l2_penalty",
    "masked",
    "matrices",
    "optimizer",
    "params_ema",
    "partition",
    "penalized",
    "penalty",
    "rmsprop",
    "scale",
    "scale_by_adam",
    "scale_by_learning_rate",
    "scale_by_rms",
    "scale_by_schedule",
    "schedule",
    "set_to_zero",
    "sgd",
    "step_decay",
    "trace",
    "transform",
    "warmup",
]
