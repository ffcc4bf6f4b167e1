"""Optimizers, the gradient transforms that they are chained from, and learning-rate schedules.

Start at `sgd`, `adam` or `adamw`; compose others with
``descend(chain(clip_by_global_norm(1.0), scale_by_adam(), scale_by_learning_rate(0.001)))``.

- Optimizers: `sgd`, `adam`, `adamw`, `rmsprop`, `adagrad`, `adadelta`, `adamax`, `amsgrad`,
  `nadam`, `radam`, `lion`, `lamb`, `muon`, `schedule_free_sgd`, `schedule_free_adamw`.
- Around them: `accumulate`, `skip_nonfinite`, `params_ema`, `partition`, `freeze`, `masked`, with
  masks such as `matrices` and `by_path`.
- Schedules: `constant_schedule`, `step_decay`, `exponential`, `piecewise`, `polynomial`, `cosine`,
  `cosine_restarts`, `one_cycle`, `warmup`, `join`.
- Instead of a plain gradient: `sam`. Instead of steps on batches: `scipy_minimize`.
"""

# The files:
#
#   _contracts       transform and optimizer: the two contracts
#   combine          chain, descend
#   transforms       scales, learning rates, weight decay, clipping
#   moments          momentum, moving averages, RMSprop's scaling
#   adam_scaling     Adam's scaling
#   adam_infinity, adam_maximum, adam_nesterov, adam_rectified
#                    AdaMax, AMSGrad, NAdam and RAdam, with their optimizers
#   accumulating, signs, trust_ratio, orthogonal, averaging
#                    Adagrad and Adadelta, Lion, LAMB, Muon, schedule-free
#   optimizers       sgd, adam, adamw, rmsprop: chains of these
#   schedules, annealing
#                    numbers by the step
#   masks, path_masks, partitions
#                    transforms for some of the weights
#   penalties        numbers that grow with the params, and their gradients
#   wrappers, skips, sharpness
#                    optimizers around optimizers; steps left out; SAM
#   full_batch       SciPy's minimisers
#
# How a step runs, one pass over the weights whatever the chain:
#
#   _leafwise        transforms that treat each weight by itself, and their chains
#   _stages          their stages, run weight by weight
#   _leaves          functions of the weights of several trees, and of observations
#   _rows            several trees as rows of leaves
#   _states          states, checked and searched by type

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
from fcnn.optim.accumulating import (
    ScaleByAdadeltaState,
    ScaleByAdagradState,
    adadelta,
    adagrad,
    scale_by_adadelta,
    scale_by_adagrad,
)
from fcnn.optim.adam_infinity import adamax, scale_by_adamax
from fcnn.optim.adam_maximum import ScaleByAmsgradState, amsgrad, scale_by_amsgrad
from fcnn.optim.adam_nesterov import ScaleByNadamState, nadam, scale_by_nadam
from fcnn.optim.adam_rectified import radam, scale_by_radam
from fcnn.optim.adam_scaling import ScaleByAdamState, scale_by_adam
from fcnn.optim.annealing import (
    cosine_restarts,
    exponential,
    join,
    one_cycle,
    piecewise,
    polynomial,
)
from fcnn.optim.averaging import (
    ScheduleFreeState,
    schedule_free,
    schedule_free_adamw,
    schedule_free_params,
    schedule_free_sgd,
)
from fcnn.optim.combine import chain, descend
from fcnn.optim.full_batch import (
    scipy_minimize,
)
from fcnn.optim.masks import (
    MaskedState,
    freeze,
    masked,
    matrices,
    set_to_zero,
)
from fcnn.optim.moments import (
    EmaState,
    ScaleByRmsState,
    TraceState,
    ema,
    scale_by_rms,
    trace,
)
from fcnn.optim.optimizers import adam, adamw, rmsprop, sgd
from fcnn.optim.orthogonal import (
    ScaleByMuonState,
    muon,
    scale_by_muon,
)
from fcnn.optim.partitions import PartitionState, partition
from fcnn.optim.path_masks import (
    PathMask,
    by_path,
)
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
from fcnn.optim.sharpness import (
    sam,
)
from fcnn.optim.signs import (
    ScaleByLionState,
    lion,
    scale_by_lion,
)
from fcnn.optim.skips import (
    SkipNonfiniteState,
    skip_nonfinite,
)
from fcnn.optim.transforms import (
    ScaleByScheduleState,
    add_decayed_weights,
    clip_by_global_norm,
    scale,
    scale_by_learning_rate,
    scale_by_schedule,
)
from fcnn.optim.trust_ratio import (
    lamb,
    scale_by_trust_ratio,
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
    "PathMask",
    "Penalty",
    "ScaleByAdadeltaState",
    "ScaleByAdagradState",
    "ScaleByAdamState",
    "ScaleByAmsgradState",
    "ScaleByLearningRateState",
    "ScaleByLionState",
    "ScaleByMuonState",
    "ScaleByNadamState",
    "ScaleByRmsState",
    "ScaleByScheduleState",
    "Schedule",
    "ScheduleFreeState",
    "SkipNonfiniteState",
    "TraceState",
    "Transform",
    "accumulate",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "add_decayed_weights",
    "add_penalty",
    "amsgrad",
    "apply_updates",
    "as_schedule",
    "by_path",
    "chain",
    "clip_by_global_norm",
    "constant_schedule",
    "cosine",
    "cosine_restarts",
    "current_learning_rate",
    "current_params_ema",
    "descend",
    "ema",
    "exponential",
    "freeze",
    "join",
    "l1_penalty",
    "l2_penalty",
    "lamb",
    "lion",
    "masked",
    "matrices",
    "muon",
    "nadam",
    "one_cycle",
    "optimizer",
    "params_ema",
    "partition",
    "penalized",
    "penalty",
    "piecewise",
    "polynomial",
    "radam",
    "rmsprop",
    "sam",
    "scale",
    "scale_by_adadelta",
    "scale_by_adagrad",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_amsgrad",
    "scale_by_learning_rate",
    "scale_by_lion",
    "scale_by_muon",
    "scale_by_nadam",
    "scale_by_radam",
    "scale_by_rms",
    "scale_by_schedule",
    "scale_by_trust_ratio",
    "schedule",
    "schedule_free",
    "schedule_free_adamw",
    "schedule_free_params",
    "schedule_free_sgd",
    "scipy_minimize",
    "set_to_zero",
    "sgd",
    "skip_nonfinite",
    "step_decay",
    "trace",
    "transform",
    "warmup",
]
