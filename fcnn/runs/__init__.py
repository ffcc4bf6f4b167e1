"""Runs in folders: read, repeated, compared, and many of them for a search.

`fcnn.fit` with ``run="runs/first"``, or `fcnn.experiment`, writes a folder; `read` opens it,
`fcnn.report` writes its page, `fcnn.reproduce` computes it again, `fcnn.compare` makes a table of
several, and `fcnn.sweep` computes one for each setting and seed.
"""

from fcnn._folder import Experiment, RunFolder, read
from fcnn._folder import experiment as experiment
from fcnn._report import report as report

__all__ = ["Experiment", "RunFolder", "read"]
