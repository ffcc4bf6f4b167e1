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

One's own data: `folder` and `read_image` (image files), `read_npz`, `read_parquet`,
`read_webdataset`, `read_idx`; `split` and `k_folds` cut a set into parts. A `LazyDataset` reads its
batches from a mapped file or by a function, for data larger than memory. Further sets are read by
name from the files that `download` fetches: `kmnist`, `emnist`, `qmnist`, `cifar10`, `cifar100`,
`svhn`, `stl10`, `usps`, `norb`, `medmnist`; `sklearn_digits` is part of scikit-learn.
"""

# Data sets and batches:
#
#   _dataset             inputs and targets as one value
#   _lazy                examples that stay where they are until a batch needs them
#   _examples            what the training loop asks of either
#   _batches             mini-batches in a random order, one-hot vectors
#   _splits              parts and folds
#   _leaves              trees of arrays, leaf by leaf
#   _stored              rows of arrays in memory or in a mapped file
#   augment/             random changes of images
#   _warp                bilinear resampling, for augment
#
# Files of one's own:
#
#   _images              one image file
#   _image_folder        a folder of images, a folder a class
#   _columns             parquet, WebDataset
#   _npz                 ``.npz``, and MedMNIST
#   _idx                 the format of MNIST
#   _tar                 the files in an archive
#   _pickled             pickles of arrays, read without running them
#
# Published sets:
#
#   _sets                MNIST and Fashion-MNIST, embedded or whole
#   _idx_sets            KMNIST, EMNIST, QMNIST
#   _cifar               CIFAR-10 and CIFAR-100
#   _published           SVHN, STL-10, USPS, NORB, the digits of scikit-learn
#   _catalogue, _remotes
#                        their files, checksums and addresses
#   _folder, _shelf      where files lie, and whether they are the right ones
#   _download, _fetch    a whole set from a mirror; a URL within limits
#   _embed               makes the embedded examples again

from fcnn.data import augment
from fcnn.data._batches import batches, one_hot
from fcnn.data._cifar import cifar10, cifar100
from fcnn.data._columns import read_parquet, read_webdataset
from fcnn.data._dataset import Dataset
from fcnn.data._download import download
from fcnn.data._examples import Examples
from fcnn.data._idx import read_idx, write_idx
from fcnn.data._idx_sets import emnist, kmnist, qmnist
from fcnn.data._image_folder import folder
from fcnn.data._images import read_image
from fcnn.data._lazy import LazyDataset
from fcnn.data._npz import medmnist, read_npz
from fcnn.data._published import norb, sklearn_digits, stl10, svhn, usps
from fcnn.data._sets import available, fashion_mnist, mnist
from fcnn.data._splits import k_folds, split

__all__ = [
    "Dataset",
    "Examples",
    "LazyDataset",
    "augment",
    "available",
    "batches",
    "cifar10",
    "cifar100",
    "download",
    "emnist",
    "fashion_mnist",
    "folder",
    "k_folds",
    "kmnist",
    "medmnist",
    "mnist",
    "norb",
    "one_hot",
    "qmnist",
    "read_idx",
    "read_image",
    "read_npz",
    "read_parquet",
    "read_webdataset",
    "sklearn_digits",
    "split",
    "stl10",
    "svhn",
    "usps",
    "write_idx",
]
