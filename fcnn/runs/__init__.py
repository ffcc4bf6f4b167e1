"""Runs in folders: read, repeated, compared, and many of them for a search.

`fcnn.fit` with ``run="runs/first"``, or `fcnn.experiment`, writes a folder; `read` opens it,
`fcnn.report` writes its page, `fcnn.reproduce` computes it again, `fcnn.compare` makes a table of
several, and `fcnn.sweep` computes one for each setting and seed.
"""

# The files; folders are read and written by `fcnn._folder`:
#
#   _reproduce   a run again, its bits compared
#   _compare     runs as a table, with a paired test
#   _comparison  the table
#   _sweep       a run for each setting and seed
#   _space       the settings: a grid, or random ones

from fcnn._folder import Experiment, RunFolder, read
from fcnn._folder import experiment as experiment
from fcnn._report import report as report
from fcnn.runs._compare import compare as compare
from fcnn.runs._comparison import Comparison, Group
from fcnn.runs._reproduce import Reproduction
from fcnn.runs._reproduce import reproduce as reproduce
from fcnn.runs._sweep import sweep as sweep

__all__ = ["Comparison", "Experiment", "Group", "Reproduction", "RunFolder", "read"]
