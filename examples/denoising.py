"""Denoising: a small U-Net removes noise from handwritten digits.

The network sees a digit with normal noise of standard deviation 0.5, drawn anew in every epoch,
and is trained to give the digit. It is compared with the best Gaussian blur of the same images.
The picture ``denoising.png`` shows digits, what the network was given, and what it gave.

    python examples/denoising.py
"""

from pathlib import Path

import _common
import numpy as np
from scipy.ndimage import gaussian_filter

import fcnn
from fcnn.data import Dataset, augment, mnist
from fcnn.losses import mean_squared_error
from fcnn.models import unet
from fcnn.optim import adamw

NOISE = augment.noise(0.5)


def recipe() -> _common.Recipe:
    """Return a U-Net of two levels: 28×28, 14×14 and 7×7."""
    return _common.Recipe(
        model=unet(levels=2, width=16),
        loss=mean_squared_error,
        optimizer=lambda steps: adamw(_common.one_cycle(0.004, steps), weight_decay=0.01),
        epochs=6,
        batch_size=32,
        quick=1,
    )


def decibels(images: np.ndarray, truth: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio, ``10 log10(1 / mean squared error)``."""
    return -10 * float(np.log10(np.mean((images - truth) ** 2, dtype=np.float64)))


def best_blur(noisy: np.ndarray, truth: np.ndarray) -> float:
    """Return the ratio after the Gaussian blur whose width suits these images best."""
    widths = np.arange(0.5, 2.01, 0.1)
    return max(decibels(gaussian_filter(noisy, (0, s, s, 0)), truth) for s in widths)


def draw(rows: dict[str, np.ndarray], file: Path) -> str:
    """Draw each row's first ten images; return a line to print."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "No picture: matplotlib is not installed; pip install '.[plot]' and run this again."
    figure = Figure(figsize=(11, 1.15 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 10)
    for axes, (name, images) in zip(grid, rows.items(), strict=True):
        axes[0].set_title(name, loc="left", fontsize=10)
        for cell, image in zip(axes, images[:10, :, :, 0], strict=True):
            cell.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            cell.set_axis_off()
    figure.savefig(file, dpi=120)
    return f"Digits, with noise and without: {file}"


def main() -> None:
    """Train, measure and draw."""
    parser = _common.options(__doc__, recipes=())
    parser.add_argument("--picture", type=Path, default=Path("denoising.png"), metavar="FILE")
    args = parser.parse_args()
    train, test = mnist("train", 5000).inputs, mnist("test", 1200).inputs
    chosen, noisy = recipe(), NOISE(fcnn.key(1), test)
    run = _common.learn(chosen, Dataset(train, train), args, augment=NOISE)
    clean = fcnn.predict(chosen.model, run.params, noisy)
    print(draw({"given": noisy, "network": clean, "truth": test}, args.picture))
    print(
        f"signal to noise, dB: given {decibels(noisy, test):.1f}, "
        f"best Gaussian blur {best_blur(noisy, test):.1f}, network {decibels(clean, test):.1f}"
    )


if __name__ == "__main__":
    main()
