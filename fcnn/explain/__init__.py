"""What a model looks at: attributions to the input, feature maps, filters.

Every function takes a model, its params and a batch, runs the model as in evaluation, and
returns arrays, computed from its pullback. `fcnn.plot` draws them.

``target`` says which output is explained: a class, the same for all examples; an array of one
class for each; None for the class with the highest score; or a tuple, an index into the output
of an example, such as ``(..., 3)`` for the sum of channel 3. Explain scores before the softmax:
after it, raising a score and lowering the others' is the same.
"""

# The files:
#
#   _targets    which output is explained, and its gradient
#   _gradients  saliency, SmoothGrad, integrated gradients
#   _layers     outputs of layers, filters, receptive fields, Grad-CAM
#   _occlusion  the input hidden part by part
#   _maximise   the input that a unit answers to most

from fcnn.explain._gradients import integrated_gradients, saliency, smoothgrad
from fcnn.explain._layers import feature_maps, filters, grad_cam, receptive_field
from fcnn.explain._maximise import activation_maximisation
from fcnn.explain._occlusion import occlusion

__all__ = [
    "activation_maximisation",
    "feature_maps",
    "filters",
    "grad_cam",
    "integrated_gradients",
    "occlusion",
    "receptive_field",
    "saliency",
    "smoothgrad",
]
