"""Networks of the literature: each a function that returns a model, made of the layers here.

>>> import fcnn
>>> model = fcnn.models.resnet20(classes=10)
>>> fcnn.summary(model, (32, 32, 3)).params
272474
"""

# A family a file:
#
#   _plain     LeNet-5, a small VGG, the all-convolutional net
#   _resnet    residual networks
#   _mobile    MobileNet 1 and 2, SqueezeNet
#   _convnext  ConvNeXt
#   _unet      U-Net and an autoencoder
#   _ecg       a 1-d residual network
#   _articles  the networks of ``examples/``

from fcnn.models._articles import article_000, article_001, article_002, article_003
from fcnn.models._convnext import convnext, convnext_small
from fcnn.models._ecg import ecg
from fcnn.models._mobile import mobilenet_v1, mobilenet_v2, squeezenet
from fcnn.models._plain import all_cnn, lenet5, vgg_small
from fcnn.models._resnet import resnet18, resnet20, resnet32, resnet56
from fcnn.models._unet import autoencoder, unet

__all__ = [
    "all_cnn",
    "article_000",
    "article_001",
    "article_002",
    "article_003",
    "autoencoder",
    "convnext",
    "convnext_small",
    "ecg",
    "lenet5",
    "mobilenet_v1",
    "mobilenet_v2",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet56",
    "squeezenet",
    "unet",
    "vgg_small",
]
