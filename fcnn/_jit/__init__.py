"""A function recorded once and replayed: the recorder, the plan, and the generated code."""

from fcnn._jit._function import jit as jit
