"""The folder of a run: what it was made with, a line an epoch, checkpoints, the result.

Written::

    _experiment  `experiment`: a folder that a run writes into
    _asked       what `fcnn.fit` was asked for, as ``config.json`` holds it
    _sources     the description of a data set: its SHA-256, and which one it is
    _session     versions, BLAS kernel, commit and command, where and when a run was computed
    _lines       ``metrics.jsonl``: a line for each epoch
    _lock        one process at a time computes a run
    _json        JSON files, and models, losses and optimizers in them

Read::

    _read        `read`: what is in a folder
"""

from fcnn._folder._experiment import Experiment, experiment
from fcnn._folder._read import RunFolder, read

__all__ = ["Experiment", "RunFolder", "experiment", "read"]
