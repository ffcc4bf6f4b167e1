"""Array kernels and their adjoints: no trees, no layers, no contexts.

Every kernel stands with its adjoint. For the convolution read `window`, `layout`, `im2col`,
`direct`, `direct_adjoint` and `conv`, in that order; the rest makes it faster, or is for other
layers. What was measured, and what did not pay, is in ``NOTES.md``.

Geometry::

    window           where a window of some size, stride, dilation and padding stands
    border           padding by an image's own pixels: reflection, repetition, the opposite side
    pad              margins of a number, and their removal

Memory::

    layout, spatial  the order of images, or of arrays of any rank: innermost the images
    blocks           the scratch budget, and the cut of an output into blocks within it
    memory           arrays that kernels write to, made so that `fcnn.jit` can record it
    values           conditions and numbers that depend on values, made so that it can record them
    strided          views with strides of their own, checked
    channels         an array as rows of each channel, and sums over them
    pixels           an array as blocks of all channels of some pixels
    groups           an array as pieces of some channels of some examples
    pieces           element-wise functions of several passes, a piece at a time
    passes           NumPy's buffer and warnings for such passes

Products::

    gemm             products in pieces that BLAS multiplies without packing them
    packed           those that it packs, in pieces whose bits depend on no cache
    vector           matrices times vectors, sums of rows

Convolution::

    im2col           the pixels that filters meet, as matrices that overlap in memory
    direct           filters times these matrices
    direct_adjoint   the adjoints of that
    direct_sequence  the adjoint with respect to the weight where images are one column
    winograd/        3 x 3 filters in a quarter of the products
    algorithm        what these have in common, and which is used for which shapes
    epilogue         an activation that a kernel applies to its blocks
    conv             correlation with bias and epilogue, block by block, and its adjoints
    conv_pooled      the same with a max pool
    conv_composed    two correlations as one
    conv_tiled       the transposed correlation whose windows lie side by side
    conv_sequence    sequences as images
    conv_volume      volumes as images
    conv_planes      volumes by Winograd's algorithm
    conv_nd          the functions for one, two and three axes
    depthwise        filters that see one channel each

Other layers::

    affine           dense layers of vectors
    affine_rows      dense layers of images and sequences, along the last axis
    pool/            windows reduced to their maximum, mean, sum or p-norm
    batch_norm       normalisation over the batch
    layer_norm       over the channels of a pixel
    group_norm       over the pixels of a group of channels
    relu             the rectifier, and selection by a mask
    rectifiers       its relatives whose derivative follows from their output
    smooth           smooth activations with their derivatives
    stable           exponentials that do not overflow: sigmoid, softmax
    resample         interpolation as sparse matrices
    tiles            pixels repeated, or shuffled with channels
    scatter          sums of rows by index, the adjoint of a look-up
    finite           a fast test for NaN and infinity
"""

from fcnn._ops import memory as memory
