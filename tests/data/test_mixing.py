"""Augmentations that cut, colour and mix: ranges, distributions, and labels of mixtures."""

import pickle

import numpy as np
import pytest

import fcnn
from fcnn.data import Dataset, augment
from fcnn.data.augment._augmentation import Draws
from fcnn.errors import ArgumentError, LabelError, ShapeError

KEY = fcnn.key(4)
MIXES = [augment.mixup(0.4, classes=3), augment.cutmix(1.0, classes=3)]


def plain(*shape, dtype=np.float32):
    return np.random.default_rng(0).random(shape).astype(dtype)


class TestDraws:
    def test_any_row_is_there_without_those_before_it(self):
        for size in (1, 3, 4, 9):
            whole = Draws(KEY, 20, 0)
            for start, n in [(0, 20), (7, 5), (19, 1)]:
                part = Draws(KEY, n, start)
                rows = slice(start, start + n)
                np.testing.assert_array_equal(part.uniform(size), whole.uniform(size)[rows])
                np.testing.assert_array_equal(part.normal(size), whole.normal(size)[rows])

    def test_uniform_numbers_are_those_of_the_key(self):
        """Rows of four words are NumPy's doubles of the same generator, in order."""
        expected = KEY.generator().random((10, 8))
        np.testing.assert_array_equal(Draws(KEY, 10, 0).uniform(8), expected)

    def test_normals_are_normal(self):
        from scipy import stats

        draws = Draws(KEY, 2000, 0).normal(5)
        assert stats.kstest(draws.ravel(), "norm").pvalue > 0.01
        assert np.abs(np.corrcoef(draws.T) - np.eye(5)).max() < 0.08


class TestCrops:
    def test_every_window_is_as_likely(self):
        images = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1).repeat(4000, axis=0)
        corners = augment.random_crop((3, 2))(KEY, images)[:, 0, 0, 0]
        found, counts = np.unique(corners, return_counts=True)
        assert found.tolist() == [0, 1, 2, 4, 5, 6]
        assert counts.min() > 4000 / 6 * 0.85

    def test_a_crop_is_a_part_of_the_padded_image(self):
        images = plain(6, 5, 7, 2)
        padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=9.0)
        for image, within in zip(
            augment.random_crop((4, 8), padding=2, fill=9.0)(KEY, images), padded, strict=True
        ):
            parts = [within[y : y + 4, x : x + 8] for y in range(6) for x in range(4)]
            assert any(np.array_equal(image, part) for part in parts)

    def test_a_shift_is_a_padded_crop(self):
        images = plain(5, 6, 6, 1)
        np.testing.assert_array_equal(
            augment.shift(2)(KEY, images), augment.random_crop(6, padding=2)(KEY, images)
        )

    def test_a_window_that_is_too_large(self):
        with pytest.raises(ShapeError, match=r"of \(8, 8\) or more with a padding of 1, got"):
            augment.random_crop(8, padding=1)(KEY, plain(1, 8, 5, 1))

    def test_a_resized_crop_of_everything_is_the_image(self):
        images = plain(3, 6, 9, 2)
        whole = augment.resized_crop(scale=(1.0, 1.0), ratio=(1.0, 1.0))(KEY, images)
        np.testing.assert_allclose(whole, images, atol=1e-6)

    def test_a_resized_crop_has_the_area_and_the_shape_asked_for(self):
        """Of images of coordinates, whose corners tell the window."""
        y, x = np.meshgrid(np.linspace(0, 1, 33), np.linspace(0, 1, 33), indexing="ij")
        images = np.stack([y, x], axis=-1)[None].repeat(3000, axis=0)
        crops = augment.resized_crop(scale=(0.2, 0.5), ratio=(0.8, 2.0))(KEY, images)
        heights, widths = (crops[:, -1, -1] - crops[:, 0, 0]).T
        area = heights * widths
        assert (area.min(), area.max()) == pytest.approx((0.2, 0.5), abs=0.01)
        assert area.mean() == pytest.approx(0.35, abs=0.01)
        shape = widths / heights
        assert (shape.min(), shape.max()) == pytest.approx((0.8, 2.0), abs=0.02)
        assert np.log(shape).mean() == pytest.approx(np.log(1.6) / 2, abs=0.03)
        assert crops.min() >= -1e-9
        assert crops.max() <= 1 + 1e-9
        for place in (crops[:, 0, 0, 0] / (1 - heights), crops[:, 0, 0, 1] / (1 - widths)):
            assert (place.min(), place.max()) == pytest.approx((0, 1), abs=0.01)
            assert place.mean() == pytest.approx(0.5, abs=0.02)
        middle = crops[:, 16, 16]
        np.testing.assert_allclose(middle, (crops[:, 0, 0] + crops[:, -1, -1]) / 2, atol=1e-6)

    def test_cutout_is_a_rectangle_about_any_pixel(self):
        images = np.ones((3000, 6, 8, 1), np.float32)
        cut = augment.cutout((3, 5), fill=7.0)(KEY, images)[..., 0] == 7
        rows, columns = cut.any(axis=2), cut.any(axis=1)
        np.testing.assert_array_equal(cut, rows[:, :, None] & columns[:, None, :])
        assert rows.sum(axis=1).max() == 3
        assert columns.sum(axis=1).max() == 5
        # A centre at an edge leaves two of three rows, three of five columns.
        assert rows.sum(axis=1).min() == 2
        assert columns.sum(axis=1).min() == 3
        assert rows.sum(axis=1).mean() == pytest.approx((4 * 3 + 2 * 2) / 6, abs=0.03)
        # Of an even size, one pixel more is before the centre, as in the source.
        even = augment.cutout(2, fill=7.0)(KEY, images)[..., 0] == 7
        assert even[:, 0].any(axis=1).mean() == pytest.approx(2 / 6, abs=0.03)
        assert even[:, -1].any(axis=1).mean() == pytest.approx(1 / 6, abs=0.03)
        half = augment.cutout(3, probability=0.5)(KEY, images)
        assert (half.min(axis=(1, 2, 3)) == 0).mean() == pytest.approx(0.5, abs=0.03)


class TestColours:
    def test_brightness_is_uniform(self):
        images = plain(4000, 2, 2, 1)
        added = (augment.brightness(0.5)(KEY, images) - images).reshape(4000, -1)
        assert np.ptp(added, axis=1).max() < 1e-6
        assert (added.min(), added.max()) == pytest.approx((-0.5, 0.5), abs=0.01)
        assert added.std() == pytest.approx(0.5 / np.sqrt(3), rel=0.05)

    def test_contrast_keeps_the_mean_of_each_channel(self):
        images = plain(2000, 5, 4, 2)
        changed = augment.contrast(0.6)(KEY, images)
        mean = images.mean(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(changed.mean(axis=(1, 2), keepdims=True), mean, atol=1e-6)
        factors = (changed - mean).std(axis=(1, 2)) / images.std(axis=(1, 2))
        np.testing.assert_allclose(factors[:, 0], factors[:, 1], rtol=1e-4)
        assert (factors.min(), factors.max()) == pytest.approx((0.4, 1.6), abs=0.02)

    def test_noise_is_of_each_value_by_itself(self):
        noisy = augment.noise(0.25)(KEY, np.zeros((400, 5, 5, 2)))
        assert noisy.std() == pytest.approx(0.25, rel=0.03)
        flat = noisy.reshape(400, -1)
        off = np.corrcoef(flat.T) - np.eye(50)
        assert np.abs(off).max() < 0.25


@pytest.mark.parametrize("mix", MIXES, ids=str)
class TestMixes:
    def test_targets_are_mixed_as_the_images_are(self, mix):
        labels = np.arange(12) % 3
        images = np.eye(3)[labels][:, None, None, :] * np.ones((12, 8, 8, 3))
        before = images.copy()
        mixed, soft = mix(KEY, images, labels)
        np.testing.assert_allclose(mixed.mean(axis=(1, 2)), soft, atol=1e-12)
        np.testing.assert_allclose(soft.sum(axis=1), 1)
        np.testing.assert_array_equal(images, before)
        # An example's own label is the first, the other is that of the one before it.
        np.testing.assert_array_equal(soft.argmax(axis=1), labels)
        assert not soft[np.arange(12), (labels + 1) % 3].any()
        again, same = mix(KEY, images, np.eye(3)[labels])
        np.testing.assert_array_equal(again, mixed)
        np.testing.assert_array_equal(same, soft)

    def test_the_share_of_an_example_is_its_own(self, mix):
        """Whatever the batch; what it is mixed with is the one before it there."""
        labels, images = np.arange(12) % 3, plain(12, 8, 8, 1)
        _, soft = mix(KEY, images, labels)
        _, part = mix(KEY, images[4:9], labels[4:9], start=4)
        np.testing.assert_array_equal(part[1:], soft[5:9])
        np.testing.assert_array_equal(part.max(axis=1), soft[4:9].max(axis=1))

    def test_shape_type_and_value(self, mix):
        for dtype in (np.float32, np.float64):
            images = plain(5, 6, 7, 2, dtype=dtype)
            mixed, soft = mix(KEY, images, np.arange(5) % 3)
            assert (mixed.shape, mixed.dtype, soft.dtype) == (images.shape, dtype, dtype)
            assert not np.shares_memory(mixed, images)
        assert eval(repr(mix), vars(augment)) == mix
        assert pickle.loads(pickle.dumps(mix)) == mix
        empty, none = mix(KEY, plain(0, 6, 6, 1), np.zeros(0, np.int64))
        assert empty.shape == (0, 6, 6, 1)
        assert none.shape == (0, 3)

    def test_what_cannot_be_mixed(self, mix):
        images = plain(2, 4, 4, 1)
        with pytest.raises(ArgumentError, match="expected targets for"):
            mix(KEY, images)
        with pytest.raises(LabelError, match="got tuple"):
            mix(KEY, images, (np.zeros(2, int), np.ones(2)))
        with pytest.raises(LabelError, match="got float64"):
            mix(KEY, images, np.zeros(2))
        with pytest.raises(ShapeError, match="expected 2 targets"):
            mix(KEY, images, np.zeros(3, int))
        with pytest.raises(LabelError, match="from 0 to 2"):
            mix(KEY, images, np.array([0, 3]))
        with pytest.raises(ArgumentError, match="give classes="):
            augment.mixup(0.2)(KEY, images, np.zeros(2, int))

    def test_after_others_in_a_chain(self, mix):
        images, labels = plain(4, 6, 6, 1), np.arange(4) % 3
        both = augment.chain(augment.flip(1.0), mix)
        assert both.mixes
        mixed, soft = both(KEY, images, labels)
        assert np.ptp(mixed) > 0
        assert soft.shape == (4, 3)
        assert augment.flip()(KEY, images, labels)[1] is labels


def test_mixup_draws_from_a_beta_distribution():
    from scipy import stats

    _, soft = augment.mixup(0.4, classes=2)(KEY, plain(4000, 1, 1, 1), np.arange(4000) % 2)
    larger = soft.max(axis=1)
    there = stats.beta(0.4, 0.4)
    assert stats.kstest(larger, lambda x: there.cdf(x) - there.cdf(1 - x)).pvalue > 0.01


@augment.augmentation
def by_hand(most):
    def move(key, images):
        return images + fcnn.prng.uniform(key, (len(images), 1, 1, 1), 0, most)

    return move


class TestInARun:
    MODEL = fcnn.serial(fcnn.flatten, fcnn.dense(3))
    DATA = Dataset(plain(30, 6, 6, 1), np.arange(30) % 3)

    def run(self, each, *, batch_size=10, shard_size=4, executor=None, optimizer=None, epochs=2):
        return fcnn.fit(self.MODEL, fcnn.losses.softmax_cross_entropy,
                        optimizer or fcnn.optim.sgd(0.1), self.DATA, key=KEY, epochs=epochs,
                        batch_size=batch_size, shard_size=shard_size, augment=each,
                        executor=executor, log=None)  # fmt: skip

    @pytest.mark.parametrize(
        "each", [augment.shift(2), augment.noise(0.3), *MIXES, by_hand(0.3)], ids=str
    )
    def test_workers_change_no_bit(self, each):
        here = self.run(each)
        with fcnn.parallel.threads(2) as pool:
            there = self.run(each, executor=pool)
        assert fcnn.tree.digest(here.params) == fcnn.tree.digest(there.params)
        assert here.params != self.run(None).params

    def test_processes_change_no_bit(self):
        each = augment.chain(augment.shift(2), augment.noise(0.3))
        with fcnn.parallel.processes(2) as pool:
            there = self.run(each, executor=pool)
        assert fcnn.tree.digest(self.run(each).params) == fcnn.tree.digest(there.params)

    def test_an_example_is_changed_alike_in_any_batch_and_shard(self):
        """By the sum of the changed images that a model without steps sees in an epoch."""
        seen = []

        @fcnn.losses.loss
        def spy():
            def vjp(prediction, target):
                seen.append(prediction.copy())
                return 0.0, lambda dvalue: 0 * prediction

            return lambda prediction, target: 0.0, vjp

        each = augment.chain(augment.flip(), augment.elastic(2.0), augment.noise(0.1))
        found, still = [], fcnn.optim.sgd(0.0)
        for batch_size, shard_size in [(10, 4), (7, 7), (30, 5), (12, None)]:
            seen.clear()
            state = fcnn.train.init(fcnn.flatten, still, self.DATA, KEY)
            options = {"batch_size": batch_size, "shard_size": shard_size, "augment": each}
            options["jit"] = False  # the loss has an effect of its own
            states = fcnn.train.steps(fcnn.flatten, spy(), still, self.DATA, state, **options)
            for _ in range(2 * -(-30 // batch_size)):
                next(states)
            found.append(np.concatenate(seen))
        assert len(found[0]) == 60
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])
        assert not np.array_equal(found[0][:30], found[0][30:])

    @pytest.mark.parametrize("each", [augment.affine(), augment.noise(0.1), by_hand(0.3)], ids=str)
    def test_each_epoch_draws_anew(self, each):
        """Copies of one image, so that another order of the examples is no other draw."""
        seen = []

        @fcnn.losses.loss
        def spy():
            def vjp(prediction, target):
                seen.extend(prediction)
                return 0.0, lambda dvalue: 0 * prediction

            return lambda prediction, target: 0.0, vjp

        data = Dataset(np.repeat(plain(1, 6, 6, 1) + 0.5, 12, axis=0), np.zeros(12, int))
        still = fcnn.optim.sgd(0.0)
        state = fcnn.train.init(fcnn.flatten, still, data, KEY)
        options = {"batch_size": 12, "shard_size": 5, "augment": each}
        states = fcnn.train.steps(fcnn.flatten, spy(), still, data, state, **options)
        for _ in range(3):
            next(states)
        assert len({image.tobytes() for image in seen}) == 36

    def test_accuracy_is_of_the_datas_labels(self):
        run = self.run(augment.mixup(0.2, classes=3), epochs=1)
        assert 0 <= run.history[0].accuracy <= 1

    def test_the_workers_do_the_work(self):
        import threading

        where, both = set(), threading.Barrier(2, timeout=30)

        @augment._augmentation.by_example
        def spy():
            def move(draws, images):
                name = threading.current_thread().name
                if len(where) < 2 and name not in where:
                    where.add(name)
                    both.wait()  # for the other thread, which has a shard of its own
                return images

            return move

        with fcnn.parallel.threads(2) as pool:
            self.run(spy(), executor=pool)
        assert len(where) == 2
