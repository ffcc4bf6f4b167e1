"""The folder of a run: what it was made with, a line an epoch, checkpoints, the result."""

from fcnn._folder._experiment import Experiment, experiment
from fcnn._folder._read import RunFolder, read

__all__ = ["Experiment", "RunFolder", "experiment", "read"]
