"""A function recorded once and replayed: `fcnn.jit`, and what the library replays by itself.

A call with traced arrays is recorded as operations on memory. What no result depends on is left
out; the rest is laid out in one arena by lifetimes, and written as one Python function, which later
calls with the same signature run.

The functions::

    _function   `jit`: a plan for each signature, recorded at the second call
    _automatic  what the library replays by itself, and after how many calls
    _plan       one recording and its replays
    _report     a plan for people: calls, times, memory

Recording::

    _leaves     arguments as leaves and a signature
    _traced     arrays and keys that report what is done with them
    _recorder   what is called with traced arrays, as operations on memory
    _op         one operation
    _spans      where an array lies in memory
    _arrays     questions about arrays and indices

Writing::

    _passes     operations that are left out; memory by lifetimes
    _program    the operations as a function, bound to planned memory
    _write      one operation as a line of Python
    _results    the results as an expression
    _errors     what goes wrong in either
    _unseen     calls whose arrays a recorder does not see, for a warning
"""

from fcnn._jit._automatic import applied as applied
from fcnn._jit._automatic import is_own as is_own
from fcnn._jit._automatic import replayed as replayed
from fcnn._jit._automatic import wanted as wanted
from fcnn._jit._function import jit as jit
from fcnn._jit._leaves import has_count as has_count
