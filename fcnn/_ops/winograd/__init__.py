"""Correlation with 3 x 3 filters by Winograd's minimal filtering, F(4 x 4, 3 x 3).

Read `matrices` first, which has the derivation::

    matrices         the transforms, and why the adjoints are the same steps in reverse
    tiling           for which shapes it is used, and blocks of whole tiles
    transforms       of filters and tiles, where images are many
    forward          the correlation
    adjoint          its adjoints
    few_transforms   of filters and tiles, where images are few
    few              the correlation and its adjoints there
    volume           along the rows and columns of volumes
    volume_adjoint   its adjoints
"""

from fcnn._ops.winograd.adjoint import WinogradAdjoint as WinogradAdjoint
from fcnn._ops.winograd.few import FewAdjoint as FewAdjoint
from fcnn._ops.winograd.few import FewForward as FewForward
from fcnn._ops.winograd.few import PlainForward as PlainForward
from fcnn._ops.winograd.forward import WinogradForward as WinogradForward
from fcnn._ops.winograd.tiling import is_few as is_few
from fcnn._ops.winograd.tiling import is_plain as is_plain
from fcnn._ops.winograd.tiling import suits as suits
from fcnn._ops.winograd.volume import VolumeForward as VolumeForward
from fcnn._ops.winograd.volume_adjoint import VolumeAdjoint as VolumeAdjoint
