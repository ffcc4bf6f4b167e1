"""Heartbeats: a 1-d residual network tells four kinds of beat in a synthetic ECG.

A beat is a sum of bells, one for each of the waves P, Q, R, S and T, whose places, heights and
widths vary from beat to beat; muscle noise and a wandering baseline are added. The kinds:

* normal;
* premature ventricular: wide, no P wave, the T wave inverted;
* atrial premature: the P wave early and of another shape, close to the T wave before;
* bundle branch block: a late second peak after R.

The picture ``heartbeats.png`` shows a beat of each kind, where the network looked, and the
confusion matrix.

    python examples/heartbeats.py

Source of the waves: P. E. McSharry et al., "A dynamical model for generating synthetic
electrocardiogram signals", 2003, https://doi.org/10.1109/TBME.2003.808805.
"""

from pathlib import Path

import _common
import numpy as np

import fcnn
from fcnn import prng
from fcnn.data import Dataset
from fcnn.losses import softmax_cross_entropy
from fcnn.models import ecg
from fcnn.optim import adamw

KINDS = ("normal", "ventricular", "atrial", "bundle block")
LENGTH = 187

# The waves P, Q, R, S, T and a second R: place in the beat, height (mV), width.
WAVES = {
    "normal": [(0.25, 0.15, 0.025), (0.37, -0.12, 0.010), (0.40, 1.0, 0.012),
               (0.43, -0.25, 0.012), (0.65, 0.30, 0.045), (0.46, 0.0, 0.012)],
    "ventricular": [(0.25, 0.0, 0.025), (0.34, -0.2, 0.020), (0.40, 1.0, 0.028),
                    (0.47, -0.40, 0.028), (0.65, -0.20, 0.050), (0.46, 0.0, 0.012)],
    "atrial": [(0.21, 0.12, 0.015), (0.37, -0.12, 0.010), (0.40, 1.0, 0.012),
               (0.43, -0.25, 0.012), (0.65, 0.30, 0.045), (0.46, 0.0, 0.012)],
    "bundle block": [(0.25, 0.15, 0.025), (0.37, -0.10, 0.010), (0.40, 0.9, 0.014),
                     (0.43, -0.10, 0.012), (0.66, 0.15, 0.045), (0.45, 0.35, 0.016)],
}  # fmt: skip


def beats(key: fcnn.Key, count: int) -> Dataset:
    """Return ``count`` beats, ``(count, 187, 1)``, and their kinds."""
    k_kind, k_wave, k_noise, k_base = prng.split(key, 4)
    kinds = (prng.uniform(k_kind, (count,)) * len(KINDS)).astype(np.int64)
    waves = np.array([WAVES[kind] for kind in KINDS])[kinds]  # (count, 6, 3)
    vary = prng.normal(k_wave, waves.shape, dtype=np.float64)
    place = waves[..., 0] + 0.012 * vary[..., 0] + 0.02 * vary[:, :1, 1]
    height = waves[..., 1] * (1 + 0.2 * vary[..., 1])
    width = waves[..., 2] * np.exp(0.2 * vary[..., 2])

    time = np.linspace(0, 1, LENGTH)
    distance = (time - place[..., None]) / width[..., None]
    signal = (height[..., None] * np.exp(-0.5 * distance**2)).sum(axis=1)
    swing = prng.uniform(k_base, (count, 2))
    signal += 0.15 * np.sin(2 * np.pi * (swing[:, :1] * time + swing[:, 1:]))
    signal += 0.08 * prng.normal(k_noise, signal.shape)
    return Dataset(signal[..., None].astype(np.float32), kinds, KINDS)


def recipe() -> _common.Recipe:
    """Return the network of Kachuee et al., with half as many channels."""
    return _common.Recipe(
        model=ecg(len(KINDS), filters=16, blocks=4),
        loss=softmax_cross_entropy,
        optimizer=lambda steps: adamw(_common.one_cycle(0.004, steps), weight_decay=0.02),
        epochs=8,
        batch_size=32,
        quick=2,
    )


def draw(model: fcnn.Layer, params: object, test: Dataset, guesses: np.ndarray, file: Path) -> str:
    """Draw a beat of each kind with its saliency, and the confusion matrix."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "No picture: matplotlib is not installed; pip install '.[plot]' and run this again."
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.7, 1))
    time = np.arange(LENGTH)
    for k, axes in enumerate(left.subplots(2, 2, sharex=True, sharey=True).flat):
        i = np.flatnonzero((test.targets == k) & (guesses == k))[0]
        looked = np.abs(fcnn.explain.saliency(model, params, test.inputs[i : i + 1]))[0, :, 0]
        axes.plot(time, test.inputs[i, :, 0], color="0.6", linewidth=0.8)
        points = axes.scatter(time, test.inputs[i, :, 0], c=looked / looked.max(), s=9)
        axes.set_title(KINDS[k])
        axes.spines[["top", "right"]].set_visible(False)
    left.supxlabel("sample")
    left.supylabel("mV")
    left.colorbar(points, ax=left.axes, label="saliency, of its largest")
    fcnn.plot.confusion_matrix(guesses, test.targets, classes=KINDS, ax=right.subplots())
    figure.savefig(file, dpi=120)
    return f"Beats and confusion matrix: {file}"


def main() -> None:
    """Make the beats, train, draw and test."""
    parser = _common.options(__doc__, recipes=())
    parser.add_argument("--picture", type=Path, default=Path("heartbeats.png"), metavar="FILE")
    args = parser.parse_args()
    train, test = beats(fcnn.key(10), 4000), beats(fcnn.key(11), 2000)
    chosen = recipe()
    run = _common.learn(chosen, train, args)
    guesses = _common.guesses(chosen, run, test)
    print(draw(chosen.model, run.params, test, guesses, args.picture))
    print(f"test accuracy: {_common.score(chosen, run, test)}")


if __name__ == "__main__":
    main()
