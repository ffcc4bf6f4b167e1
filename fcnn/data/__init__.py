"""Data sets, mini-batches and augmentation.

The first examples of MNIST and Fashion-MNIST are embedded, so this runs offline:

>>> from fcnn import data
>>> digits = data.mnist("train", 1000)
>>> digits
Dataset(1000 of (28, 28, 1) float32, 10 classes)
>>> inputs, targets = next(data.batches(digits, 32))
>>> inputs.shape, targets.shape
((32, 28, 28, 1), (32,))

The whole sets are read from the folder that the environment variable FCNN_DATA
names; `download` fills such a folder.
"""

from fcnn.data import augment
from fcnn.data._batches import batches, one_hot
from fcnn.data._dataset import Dataset
from fcnn.data._download import download
from fcnn.data._examples import Examples
from fcnn.data._idx import read_idx, write_idx
from fcnn.data._image_folder import folder
from fcnn.data._images import read_image
from fcnn.data._lazy import LazyDataset
from fcnn.data._sets import available, fashion_mnist, mnist
from fcnn.data._splits import k_folds, split

__all__ = [
    "Dataset",
    "Examples",
    "LazyDataset",
    "augment",
    "available",
    "batches",
    "download",
    "fashion_mnist",
    "folder",
    "k_folds",
    "mnist",
    "one_hot",
    "read_idx",
    "read_image",
    "split",
    "write_idx",
]
