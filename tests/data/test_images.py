"""Images that Pillow writes here, of every mode, against the numbers that were written."""

import io

import numpy as np
import pytest

from fcnn.data import read_image
from fcnn.errors import ArgumentError, DataError

pytest.importorskip("PIL", exc_type=ImportError)
from PIL import Image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
DEEP = np.array([[0, 1, 255, 256], [300, 32768, 65534, 65535]], np.uint16)
LUMA = np.array([0.299, 0.587, 0.114])


def file_of(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    file.seek(0)
    return file


def close(actual, expected):
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def test_grey_and_colour():
    close(read_image(file_of(Image.fromarray(GREY))), GREY[..., None] / 255)
    close(read_image(file_of(Image.fromarray(COLOUR), "BMP")), COLOUR / 255)
    grey = read_image(file_of(Image.fromarray(GREY)), channels=3)
    close(grey, np.repeat(GREY[..., None], 3, 2) / 255)
    close(
        read_image(file_of(Image.fromarray(COLOUR)), channels=1), (COLOUR @ LUMA)[..., None] / 255
    )


def test_black_and_white():
    bits = GREY > 127
    close(read_image(file_of(Image.fromarray(bits))), bits[..., None] * 1.0)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_and_never_clipped(form):
    close(read_image(file_of(Image.fromarray(DEEP), form)), DEEP[..., None] / 65535)


def test_big_endian_sixteen_bits_and_pgm_of_another_range():
    image = Image.frombytes("I;16B", DEEP.shape[::-1], DEEP.astype(">u2").tobytes())
    close(read_image(file_of(image, "TIFF")), DEEP[..., None] / 65535)
    file = io.BytesIO(b"P5 2 1 1000 " + np.array([0, 500], ">u2").tobytes())
    np.testing.assert_allclose(read_image(file).ravel(), [0, 0.5], atol=1e-5)


def test_numbers_beyond_sixteen_bits_are_refused():
    image = Image.fromarray(np.array([[0, 70000]], np.int32))
    with pytest.raises(DataError, match="from 0 to 65535, got 0 to 70000"):
        read_image(file_of(image, "TIFF"))


def test_floats_are_kept_and_must_be_finite():
    numbers = np.array([[-1.5, 0, 300]], np.float32)
    np.testing.assert_array_equal(
        read_image(file_of(Image.fromarray(numbers), "TIFF"))[..., 0], numbers
    )
    with pytest.raises(DataError, match="finite"):
        read_image(file_of(Image.fromarray(np.array([[np.nan]], np.float32)), "TIFF"))


def palette_image():
    image = Image.fromarray(np.array([[0, 0, 1, 1]] * 4, np.uint8))
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([255, 0, 0, 0, 0, 255])
    return image


def test_a_palette_becomes_colours_before_it_is_resized():
    red, blue = [1, 0, 0], [0, 0, 1]
    close(read_image(file_of(palette_image())), np.array([[red, red, blue, blue]] * 4))
    half = read_image(file_of(palette_image()), size=(1, 1))
    close(half, np.array([[[0.5, 0, 0.5]]]))  # the nearest would be red or blue


def test_a_palette_with_transparency_and_grey_with_a_transparent_value():
    file = file_of(palette_image(), transparency=bytes([0, 255]))
    with pytest.raises(DataError, match=r"50\.0% of its pixels transparent; pass background="):
        read_image(file)
    green = read_image(file, background=(0, 1, 0))
    close(green, np.array([[[0, 1, 0]] * 2 + [[0, 0, 1]] * 2] * 4))
    grey = Image.fromarray(np.array([[7, 255]], np.uint8))
    close(read_image(file_of(grey, transparency=7), background=0.5), [[[0.5], [1]]])
    deep = file_of(Image.fromarray(DEEP), transparency=300)
    expected = DEEP[..., None] / 65535
    expected[1, 0] = 1
    close(read_image(deep, background=1), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_needs_a_background_unless_all_is_opaque(mode):
    colour = COLOUR if mode == "RGBA" else GREY[..., None]
    alpha = RNG.integers(0, 255, (5, 7, 1), dtype=np.uint8)
    image = Image.fromarray(np.concatenate([colour, alpha], axis=2))
    assert image.mode == mode
    with pytest.raises(DataError, match=f"an opaque image, got one of mode {mode}"):
        read_image(file_of(image))
    a = alpha / 255
    close(read_image(file_of(image), background=1), a * colour / 255 + (1 - a))
    opaque = Image.fromarray(np.concatenate([colour, alpha * 0 + 255], axis=2))
    close(read_image(file_of(opaque)), colour / 255)


def test_a_background_of_three_numbers_makes_grey_coloured():
    image = Image.fromarray(np.array([[[100, 0]]], np.uint8))
    close(read_image(file_of(image), background=(1, 0.5, 0)), [[[1, 0.5, 0]]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    turned = {
        1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud,
        5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x, -1),
        7: lambda x: np.rot90(x, 2).swapaxes(0, 1), 8: np.rot90,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    close(read_image(file_of(Image.fromarray(COLOUR), exif=exif)), turned(COLOUR) / 255)


def test_cmyk():
    numbers = np.zeros((8, 8, 4), np.uint8)
    numbers[..., 0] = 255  # cyan
    image = Image.frombytes("CMYK", (8, 8), numbers.tobytes())
    close(read_image(file_of(image, "TIFF")), np.tile([0.0, 1, 1], (8, 8, 1)))
    jpeg = read_image(file_of(image, "JPEG", quality=100))
    np.testing.assert_allclose(jpeg, np.tile([0.0, 1, 1], (8, 8, 1)), atol=0.05)


@pytest.mark.parametrize("form", ["GIF", "PNG", "TIFF", "WEBP"])
def test_of_an_animation_the_first_frame(form):
    frames = [Image.fromarray(np.full((6, 6, 3), v, np.uint8)) for v in (255, 0, 128)]
    options = {"lossless": True} if form == "WEBP" else {}
    file = file_of(frames[0], form, save_all=True, append_images=frames[1:], **options)
    close(read_image(file, channels=3), np.ones((6, 6, 3)))


def test_resizing_averages_in_floats():
    numbers = np.array([[0, 1], [1, 1]], np.uint8)
    image = read_image(file_of(Image.fromarray(numbers)), size=1)
    close(image, [[[0.75 / 255]]])  # of whole numbers it would be 1/255
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    half = read_image(file_of(Image.fromarray(ramp)), size=(4, 128))[0, 1:-1, 0] * 255
    np.testing.assert_allclose(half, 2 * np.arange(1, 127) + 0.5, atol=1e-3)


def test_crop_keeps_the_proportions():
    wide = np.zeros((4, 8), np.uint8)
    wide[:, 2:6] = 255
    close(read_image(file_of(Image.fromarray(wide)), size=4, fit="crop"), np.ones((4, 4, 1)))
    tall = read_image(file_of(Image.fromarray(wide.T.copy())), size=(4, 4), fit="crop")
    close(tall, np.ones((4, 4, 1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size"),
        ({"size": (1, 2, 3)}, "size"),
        ({"channels": 4}, "channels to be 1, 3 or None, got 4"),
        ({"background": 255}, r"\[0, 1\] for background, got 255"),
        ({"background": "white"}, "got 'white'"),
        ({"background": (0, 1)}, "one number or"),
        ({"fit": "pad"}, "'stretch' or 'crop', got 'pad'"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ArgumentError, match=message):
        read_image(file_of(Image.fromarray(GREY)), **options)


def test_a_file_that_is_no_image_or_none(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"notes\.txt: expected an image of a format that Pillow"):
        read_image(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "WEBP"])
def test_a_damaged_file_is_read_or_refused_by_name(form, tmp_path):
    rng, path = np.random.default_rng(1), tmp_path / "damaged"
    image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    whole = file_of(image, form).getvalue()
    refused = 0
    for i in range(60):
        content = bytearray(whole)
        if i % 2:
            content = content[: rng.integers(len(content))]
        for _ in range(rng.integers(1, 9)):
            if content:
                content[rng.integers(min(len(content), 80))] = rng.integers(256)
        path.write_bytes(content)
        try:
            pixels = read_image(path, size=8)
        except DataError:
            refused += 1
        else:
            assert pixels.shape in ((8, 8, 1), (8, 8, 3))
    assert refused > 10
