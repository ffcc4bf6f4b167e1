"""The page of ``examples/web``, used in headless Chromium as a person would.

Skipped where there is no Chromium or no onnxruntime-web; ``ONNXRUNTIME_WEB`` names the folder of
the latter (``npm install --ignore-scripts onnxruntime-web@1.30.0``).
"""

import os
import runpy
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import fcnn

from .chromium import PROGRAM, Browser

pytest.importorskip("onnx", exc_type=ImportError)

SCRIPT = Path(__file__).parents[2] / "examples" / "web" / "make.py"
MAKE = runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def engine():
    if not PROGRAM:
        pytest.skip("no chromium here")
    given = os.environ.get("ONNXRUNTIME_WEB")
    try:
        MAKE["engine_in"](Path(given) if given else None)
    except SystemExit as error:
        pytest.skip(str(error))
    return ["--engine", given] if given else []


@pytest.fixture(scope="module")
def network():
    sys.path.insert(0, str(SCRIPT.parents[1]))
    try:
        import mnist
    finally:
        sys.path.remove(str(SCRIPT.parents[1]))
    train = fcnn.data.mnist("train")
    recipe = mnist.recipe(train)
    run = fcnn.fit(
        recipe.model, recipe.loss, recipe.optimizer(240), train[:2500],
        key=fcnn.key(0), epochs=3, batch_size=32, log=None,
    )  # fmt: skip
    return recipe.model, run.params


def click(page, selector, which=0):
    page.value(f"document.querySelectorAll({selector!r})[{which}].click()")


@pytest.fixture(scope="module")
def page(engine, network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    model, params = network
    fcnn.save(folder / "digits.npz", params, model=model)
    arguments = ["--network", str(folder / "digits.npz"), "--output", str(folder / "digits.html")]
    given, sys.argv = sys.argv, ["make.py", *engine, *arguments]
    try:
        MAKE["main"]()
    finally:
        sys.argv = given
    browser = Browser(folder / "profile")
    browser.look(1000, 800, "light")
    browser.call("Page.navigate", url=(folder / "digits.html").as_uri())
    browser.until("document.querySelectorAll('#bars li').length === 10")
    yield browser
    browser.close()


def answer(page):
    """The pixels that the network was given, the shares of the bars, and the digit in large."""
    page.until("document.getElementById('bars').getAttribute('aria-busy') === 'false'")
    pixels = page.value(
        "[...document.getElementById('input').getContext('2d').getImageData(0, 0, 28, 28).data]"
    )
    bars = page.value("[...document.querySelectorAll('#bars i')].map((bar) => bar.style.width)")
    shares = np.array([float(width.removesuffix("%")) / 100 for width in bars])
    best = page.value("document.getElementById('best').textContent")
    return np.array(pixels, np.float32)[::4].reshape(28, 28, 1), shares, best


def held_to_apply(page, network):
    model, params = network
    pixels, shares, best = answer(page)
    y = fcnn.softmax.apply((), model.apply(params, pixels[None] / 255))[0]
    assert np.abs(shares - y).max() < 1e-5
    assert best == str(y.argmax())
    return pixels, best


def on_paper(page, points):
    """Points of the window, for points as shares of the drawing area."""
    left, top, side = page.value(
        "(({ left, top, width }) => [left, top, width])"
        "(document.getElementById('drawing').getBoundingClientRect())"
    )
    return [(left + side * x, top + side * y) for x, y in points]


TURN = np.linspace(0, 2 * np.pi, 25)
ONE = [(0.5, y) for y in np.linspace(0.2, 0.8, 9)]
ZERO = list(zip(0.5 + 0.18 * np.sin(TURN), 0.5 + 0.3 * np.cos(TURN), strict=True))


@pytest.mark.parametrize("hand", ["stroke", "touch"])
@pytest.mark.parametrize(("points", "digit"), [(ONE, "1"), (ZERO, "0")])
def test_a_drawn_digit(page, network, points, digit, hand):
    click(page, "#clear")
    getattr(page, hand)(on_paper(page, points))
    pixels, best = held_to_apply(page, network)
    assert best == digit
    held_as_mnist_has_them(pixels)


def held_as_mnist_has_them(pixels):
    rows, columns, _ = np.nonzero(pixels)
    assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 22  # the box lies between pixels
    assert abs((rows * pixels[rows, columns, 0]).sum() / pixels.sum() - 14) < 0.1
    assert abs((columns * pixels[rows, columns, 0]).sum() / pixels.sum() - 14) < 0.1
    assert pixels.max() > 250
    assert len(np.unique(pixels)) > 5  # grey levels


def test_the_size_and_place_of_a_drawing_do_not_matter(page):
    click(page, "#clear")
    page.stroke(on_paper(page, ZERO))
    large, _, _ = answer(page)
    click(page, "#clear")
    page.stroke(on_paper(page, [(0.1 + 0.4 * x, 0.5 + 0.4 * y) for x, y in ZERO]))
    small, _, _ = answer(page)
    assert np.abs(large - small).mean() < 3


def test_undo_takes_the_last_stroke(page):
    click(page, "#clear")
    page.stroke(on_paper(page, ONE))
    before, _, _ = answer(page)
    page.stroke(on_paper(page, [(0.2, 0.5), (0.8, 0.5)]))
    assert not np.array_equal(answer(page)[0], before)
    click(page, "#undo")
    assert np.array_equal(answer(page)[0], before)


@pytest.mark.parametrize("digit", [0, 7])
def test_a_test_digit_is_given_as_it_is(page, network, digit):
    click(page, "#samples button", digit)
    pixels, _ = held_to_apply(page, network)
    test = fcnn.data.mnist("test")
    image = test.inputs[np.flatnonzero(test.targets == digit)[0]]
    assert np.array_equal(pixels, np.round(255 * image))


def png(grey):
    """Encode grey levels (h, w)."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    h, w = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    head = struct.pack(">IIBBBBB", w, h, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_picture_of_dark_ink_on_light_paper(page, network, tmp_path):
    test = fcnn.data.mnist("test")
    digit = np.round(255 * test.inputs[np.flatnonzero(test.targets == 0)[0], :, :, 0])
    picture = np.full((200, 300), 230, np.uint8)
    picture[20:160, 130:270] = 230 - 0.8 * np.kron(digit, np.ones((5, 5)))
    (tmp_path / "zero.png").write_bytes(png(picture))
    page.choose("#file", tmp_path / "zero.png")
    page.until("document.getElementById('file').files.length === 0")
    page.until("!document.getElementById('hint').checkVisibility()")
    pixels, best = held_to_apply(page, network)
    assert best == "0"
    assert np.abs(pixels[:, :, 0] - digit).mean() < 12  # MNIST's centre is a whole pixel


def test_what_is_no_picture_is_said(page, tmp_path):
    (tmp_path / "note.txt").write_text("no picture")
    page.choose("#file", tmp_path / "note.txt")
    sure = page.until(
        "(t => t.includes('not a picture') && t)(document.getElementById('sure').textContent)"
    )
    assert sure.startswith("note.txt")
    blank = np.full((40, 40), 200, np.uint8)
    (tmp_path / "blank.png").write_bytes(png(blank))
    page.choose("#file", tmp_path / "blank.png")
    page.until("document.getElementById('sure').textContent.startsWith('No ink found')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1000])
def test_it_fits_narrow_windows_and_both_colour_schemes(page, width, scheme):
    page.look(width, 700, scheme)
    assert page.value("document.documentElement.scrollWidth") <= width
    red = page.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(red) < 128) == (scheme == "dark")
    page.look(1000, 800, "light")


def test_no_request_leaves_the_page_and_the_console_is_empty(page):
    assert [url for url in page.requests if not url.startswith("blob:")] == [page.requests[0]]
    assert page.requests[0].startswith("file:")
    assert page.messages == []
