"""A function recorded once and replayed: the recorder, the plan, and the generated code."""

from fcnn._jit._automatic import applied as applied
from fcnn._jit._automatic import is_own as is_own
from fcnn._jit._automatic import replayed as replayed
from fcnn._jit._automatic import wanted as wanted
from fcnn._jit._function import jit as jit
from fcnn._jit._leaves import has_count as has_count
