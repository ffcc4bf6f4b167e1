"""A graph as one C99 file: the operations, the memory that they share, and the text.

::

    _float         the body of a function of floats: operations in order, values in one buffer
    _whole         the body of a function of 8-bit whole numbers
    _write         one operation as a block of C
    _operands      what an operation sees of the graph: shapes, constants, names
    _conv          convolutions
    _windows       transposed convolutions, pools, matrix products
    _elementwise   operations of one element at a time, reductions, softmax
    _moves         operations that move elements
    _whole_layers  layers of models in whole numbers
    _whole_steps   their other steps
    _shapes        the shape of each operation's output
    _memory        where each value lies in the buffer, by the time it is needed
    _tables        the constant arrays of the file
    _text          lines, loops, indices and numbers of C
"""
