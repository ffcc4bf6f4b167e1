"""The command line: ``fcnn train``, ``fcnn predict``, ``fcnn check`` and the others.

`_main` chooses the command. A file for each of them: `_train`, `_evaluate`, `_predict`, `_compare`,
`_sweep`, `_reproduce`, `_report`, `_export`, `_summary`, `_data`, `_check`. What they have in
common::

    _main      the command, and what goes wrong as one sentence and a status
    _parser    arguments, and errors with the option that was meant
    _words     words that name a call: ``adamw``, ``"sgd(momentum=0.9)"``
    _models    the model that a word names
    _sources   the data that a word names
    _known     the data sets that have a name
    _recipe    the optimizer, schedule and augmentation that words name
    _settings  the options of training: on the command line, by default, in a run's folder
    _folders   names of new runs, and what a trained one holds
    _pool      the workers of a command
    _text      width, tables and colours of a terminal
    _tables    tables of comparisons
"""

from fcnn.cli._main import main

__all__ = ["main"]
