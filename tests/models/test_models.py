"""The models: as many params as the literature says, values, and gradients that reach every one."""

import pickle

import numpy as np
import pytest

import fcnn
from fcnn import models, tree

# Params that are learnt, without running statistics: what the papers, torchvision 0.24, Keras 3
# (its "trainable params") and, where a paper gives no number, well-known implementations say.
COUNTS = [
    (models.lenet5(), (28, 28, 1), 61_706),
    (models.vgg_small(), (32, 32, 3), 4_660_106),
    (models.all_cnn(), (32, 32, 3), 1_369_738),
    (models.resnet20(), (32, 32, 3), 269_722 + 2_752),  # with the paper's shortcuts, and ours
    (models.resnet32(), (32, 32, 3), 464_154 + 2_752),
    (models.resnet56(), (32, 32, 3), 853_018 + 2_752),
    (models.resnet18(), (224, 224, 3), 11_689_512),
    (models.resnet18(10, small_images=True), (32, 32, 3), 11_173_962),
    (models.mobilenet_v1(), (224, 224, 3), 4_231_976),
    (models.mobilenet_v1(width=0.25), (224, 224, 3), 470_072),
    (models.mobilenet_v2(), (224, 224, 3), 3_504_872),
    (models.squeezenet(), (224, 224, 3), 1_235_496),
    (models.convnext(), (224, 224, 3), 28_589_128),
    (models.unet(2), (64, 64, 3), 31_037_698),
    (models.ecg(), (187, 1), 53_957),
    (models.article_000(), (28, 28, 1), 5 * 9 + 5 * 26**2 + (5 * 26**2 + 1) * 100 + 101 * 2),
    (models.article_001(), (28, 28, 1), 5 * 10 + (5 * 26**2 + 1) * 100 + 101 * 10),
    (models.article_002(), (28, 28, 1), 37 + 122 * 10),
    (models.article_003(), (28, 28, 1), 16 * 65 + 8 * 257 + (8 * 81 + 1) * 10),
]


@pytest.mark.parametrize(("model", "shape", "count"), COUNTS, ids=lambda part: str(part)[:60])
def test_as_many_params_as_the_literature_says(model, shape, count):
    assert fcnn.summary(model, shape).params == count


# Each function at a size that trains in a moment: the model, an example's shape, the output's.
SMALL = {
    "article_000": (models.article_000(), (28, 28, 1), (2,)),
    "article_001": (models.article_001(), (28, 28, 1), (10,)),
    "article_002": (models.article_002(), (28, 28, 1), (10,)),
    "article_003": (models.article_003(linear=True), (28, 28, 1), (10,)),
    "lenet5": (models.lenet5(), (28, 28, 1), (10,)),
    "vgg_small": (models.vgg_small(width=4), (16, 16, 3), (10,)),
    "all_cnn": (models.all_cnn(), (16, 16, 3), (10,)),
    "resnet20": (models.resnet20(), (16, 16, 3), (10,)),
    "resnet32": (models.resnet32(), (8, 8, 3), (10,)),
    "resnet56": (models.resnet56(), (8, 8, 3), (10,)),
    "resnet18": (models.resnet18(5), (32, 32, 3), (5,)),
    "mobilenet_v1": (models.mobilenet_v1(5, width=0.25, stride=1), (32, 32, 3), (5,)),
    "mobilenet_v2": (models.mobilenet_v2(5, width=0.35, stride=1), (32, 32, 3), (5,)),
    "squeezenet": (models.squeezenet(5), (64, 64, 3), (5,)),
    "convnext": (models.convnext(5, depths=(1, 2), widths=(8, 16), drop=0.1), (16, 16, 3), (5,)),
    "convnext_small": (models.convnext_small(), (16, 16, 3), (10,)),
    "unet": (models.unet(levels=2, width=4, up="bilinear"), (16, 12, 1), (16, 12, 1)),
    "autoencoder": (models.autoencoder(size=16, width=4), (16, 16, 1), (16, 16, 1)),
    "ecg": (models.ecg(filters=8), (187, 1), (5,)),
}


def test_every_function_is_here():
    assert set(SMALL) == set(models.__all__)


@pytest.mark.parametrize("name", SMALL)
def test_a_step_reaches_every_param(name):
    model, shape, out = SMALL[name]
    params, out_shape = model.init(fcnn.key(0), shape)
    assert out_shape == out
    x = np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32)
    y, pullback = model.vjp(params, x, fcnn.training(fcnn.key(1)))
    assert y.shape == (8, *out)
    assert y.dtype == np.float32
    dy = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    dparams, dx = pullback(dy)
    assert dx.shape == x.shape
    paths, marks = tree.paths(params), tree.statistics(params)
    for path, leaf, is_statistic in zip(paths, tree.leaves(dparams), marks, strict=True):
        if not is_statistic:
            assert np.isfinite(leaf).all(), path
            assert leaf.any(), path


@pytest.mark.parametrize("name", SMALL)
def test_models_are_values(name, tmp_path):
    model, shape, _ = SMALL[name]
    assert pickle.loads(pickle.dumps(model)) == model
    params, _ = model.init(fcnn.key(0), shape)
    fcnn.save(tmp_path / "m.npz", params, model=model)
    assert fcnn.load_model(tmp_path / "m.npz") == (model, params)


@pytest.mark.parametrize("up", ["transposed", "nearest", "bilinear"])
def test_ways_to_double_an_image(up):
    model = models.unet(3, levels=1, width=2, up=up)
    assert model.init(fcnn.key(0), (6, 4, 2))[1] == (6, 4, 3)


def test_bad_arguments():
    with pytest.raises(fcnn.errors.ArgumentError, match="'cubic'"):
        models.unet(up="cubic")
    with pytest.raises(fcnn.errors.ArgumentError, match="a width for each of 2 depths"):
        models.convnext(depths=(1, 1), widths=(8,))
    with pytest.raises(fcnn.errors.ArgumentError, match="multiple of 4, got 30"):
        models.autoencoder(size=30)
