"""The catalogue of data sets: their files, checksums, mirrors and classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import attrs

from fcnn.errors import ArgumentError

EMBEDDED = Path(__file__).parent / "embedded"
SPLITS = ("train", "test")


@attrs.frozen
class File:
    """The size in bytes and the checksum of a file's content, unzipped."""

    size: int
    sha256: str


@attrs.frozen(eq=False, repr=False)
class Source:
    """One data set: its files by name, and the addresses that hold them, best first.

    ``embedded`` counts the examples of each split that are in the package.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]
    files: Mapping[str, File]
    embedded: Mapping[str, int]


def stems(split: str) -> tuple[str, str]:
    """Return the names of a split's two files, images and labels, without ``.gz``."""
    prefix = "train" if split == "train" else "t10k"
    return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"


def source(name: str) -> Source:
    """Return the data set of this name."""
    if name not in SOURCES:
        raise ArgumentError(f"expected name to be one of {', '.join(SOURCES)}, got {name!r}")
    return SOURCES[name]


MNIST = Source(
    name="mnist",
    title="MNIST",
    classes=tuple("0123456789"),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    files=MappingProxyType(
        {
            "train-images-idx3-ubyte": File(
                47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": File(
                60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": File(
                7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": File(
                10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        }
    ),
    embedded=MappingProxyType({"train": 5000, "test": 1200}),
)

FASHION_MNIST = Source(
    name="fashion-mnist",
    title="Fashion-MNIST",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    files=MappingProxyType(
        {
            "train-images-idx3-ubyte": File(
                47040016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            "train-labels-idx1-ubyte": File(
                60008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
            ),
            "t10k-images-idx3-ubyte": File(
                7840016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            "t10k-labels-idx1-ubyte": File(
                10008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        }
    ),
    embedded=MappingProxyType({"train": 10000, "test": 0}),
)

SOURCES = {source.name: source for source in (MNIST, FASHION_MNIST)}
