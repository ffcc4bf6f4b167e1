"""Models in whole numbers: the plan of their steps, and the steps in NumPy; see `fcnn.quantize`.

::

    _api        `calibrate` and `apply`
    _quantized  what `calibrate` returns
    _ranges     the range of each value of a graph on some examples
    _tables     a step; the values of a plan, and functions of them as tables
    _steps      the plan: a float graph with these ranges as steps on whole numbers
    _fixed      whole numbers that stand for real ones, and their rounding
    _run        the steps in NumPy
    _windows    windows of arrays with channels first
    _values     operations of ONNX in NumPy, for tables and the last layers
"""
