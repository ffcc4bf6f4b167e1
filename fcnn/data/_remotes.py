"""The files of the sets that are read as they are published: checksums, sizes and addresses.

The checksums are those of the publishers, of torchvision (`torchvision/datasets/*.py`) and of
MedMNIST (`medmnist/info.py`); an empty one is of a file for which none is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs


@attrs.frozen
class Remote:
    """A file of a data set.

    Attributes:
        name: of the file.
        md5: of its content as it is fetched; empty if unknown.
        most: the bytes that it may have at most.
        mirrors: the addresses that it lies under, best first.
        optional: whether it is fetched only if it is asked for by its name.
        path: its path under a mirror, where that is not its name.
    """

    name: str
    md5: str
    most: int
    mirrors: tuple[str, ...]
    optional: bool = False
    path: str = ""


_MB = 10**6
_TORONTO = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")
_KUZUSHIJI = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
_QMNIST = ("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",)
_EMNIST = (
    "https://biometrics.nist.gov/cs_links/EMNIST/",
    "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
)
_STANFORD = ("http://ufldl.stanford.edu/housenumbers/",)
_LIBSVM = ("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",)
_NORB = ("https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/",)
_ZENODO = (
    "https://zenodo.org/records/10519652/files/",
    "https://zenodo.org/record/6496656/files/",
)

_MEDICAL = {
    "pathmnist": "a8b06965200029087d5bd730944a56c1",
    "chestmnist": "02c8a6516a18b556561a56cbdd36c4a8",
    "dermamnist": "0744692d530f8e62ec473284d019b0c7",
    "octmnist": "c68d92d5b585d8d81f7112f81e2d0842",
    "pneumoniamnist": "28209eda62fecd6e6a2d98b1501bb15f",
    "retinamnist": "bd4c0672f1bba3e3a89f0e4e876791e4",
    "breastmnist": "750601b1f35ba3300ea97c75c52ff8f6",
    "bloodmnist": "7053d0359d879ad8a5505303e11de1dc",
    "tissuemnist": "ebe78ee8b05294063de985d821c1c34b",
    "organamnist": "866b832ed4eeba67bfb9edee1d5544e6",
    "organcmnist": "0afa5834fb105f7705a7d93372119a21",
    "organsmnist": "e5c39f1af030238290b9557d9503af9d",
}

REMOTES: Mapping[str, tuple[Remote, ...]] = MappingProxyType(
    {
        "kmnist": tuple(
            [
                Remote(f"{stem}.gz", md5, most * _MB, _KUZUSHIJI)
                for stem, md5, most in (
                    ("train-images-idx3-ubyte", "bdb82020997e1d708af4cf47b453dcf7", 20),
                    ("train-labels-idx1-ubyte", "e144d726b3acfaa3e44228e80efcd344", 1),
                    ("t10k-images-idx3-ubyte", "5c965bf0a639b31b8f53240b1b52f4d7", 4),
                    ("t10k-labels-idx1-ubyte", "7320c461ea6c1c855c0b718fb2a4b134", 1),
                )
            ]
        ),
        "qmnist": tuple(
            [
                Remote(f"qmnist-{stem}.gz", md5, most * _MB, _QMNIST)
                for stem, md5, most in (
                    ("train-images-idx3-ubyte", "ed72d4157d28c017586c42bc6afe6370", 12),
                    ("train-labels-idx2-int", "0058f8dd561b90ffdd0f734c6a30e5e4", 1),
                    ("test-images-idx3-ubyte", "1394631089c404de565df7b7aeaf9412", 12),
                    ("test-labels-idx2-int", "5b5b05890a5e13444e108efe57b788aa", 1),
                )
            ]
        ),
        "emnist": (Remote("gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e", 600 * _MB, _EMNIST),),
        "cifar-10": (
            Remote(
                "cifar-10-binary.tar.gz",
                "c32a1d4ab5d03f1284b67883e8d87530",
                171 * _MB,
                _TORONTO,
            ),
            Remote(
                "cifar-10-python.tar.gz",
                "c58f30108f718f92721af3b95e74349a",
                171 * _MB,
                _TORONTO,
                optional=True,
            ),
        ),
        "cifar-100": (
            Remote(
                "cifar-100-binary.tar.gz",
                "03b5dce01913d631647c71ecec9e9cb8",
                170 * _MB,
                _TORONTO,
            ),
            Remote(
                "cifar-100-python.tar.gz",
                "eb9058c3a382ffc7106e4002c42a8d85",
                170 * _MB,
                _TORONTO,
                optional=True,
            ),
        ),
        "svhn": (
            Remote("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 183 * _MB, _STANFORD),
            Remote("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 65 * _MB, _STANFORD),
            Remote(
                "extra_32x32.mat",
                "a93ce644f1a588dc4d68dda5feec44a7",
                1330 * _MB,
                _STANFORD,
                optional=True,
            ),
        ),
        "stl-10": (
            Remote(
                "stl10_binary.tar.gz",
                "91f7769df0f17e558f3565bffb0c7dfb",
                2700 * _MB,
                ("http://ai.stanford.edu/~acoates/stl10/",),
            ),
        ),
        "usps": (
            Remote("usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197", 7 * _MB, _LIBSVM),
            Remote("usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118", 2 * _MB, _LIBSVM),
        ),
        "norb": tuple(
            [
                Remote(f"smallnorb-5x{part}-{kind}.mat.gz", "", 260 * _MB, _NORB)
                for part in ("46789x9x18x6x2x96x96-training", "01235x9x18x6x2x96x96-testing")
                for kind in ("dat", "cat")
            ]
        ),
        **{
            name: (Remote(f"{name}.npz", md5, 250 * _MB, _ZENODO),)
            for name, md5 in _MEDICAL.items()
        },
    }
)
