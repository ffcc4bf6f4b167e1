import gzip
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from fcnn.data import available, download, mnist
from fcnn.errors import ArgumentError, DataError

NAMES = [
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
]
TRAIN = NAMES[2]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def are_whole(folder, mirror):
    return names(folder) == NAMES and all(
        (folder / name).read_bytes() == content for name, content in mirror.files.items()
    )


def hold(mirror, event):
    """The mirror sends half of a file, and the rest when ``event`` is set."""

    def answer(mirror, path):
        (whole,) = type(mirror).right(mirror, path)
        yield whole[: len(whole) // 2]
        event.wait(10)
        yield whole[len(whole) // 2 :]

    mirror.answer = answer


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def parts(folder):
    return list(folder.glob("mnist/.*.part"))


def test_fetches_the_four_files_into_a_folder_that_fcnn_data_can_name(
    mirror, tmp_path, monkeypatch
):
    target = download(tmp_path / "a" / "b", mirror=mirror.url)
    assert target == tmp_path / "a" / "b" / "mnist"
    assert are_whole(target, mirror)
    monkeypatch.setenv("FCNN_DATA", str(tmp_path / "a" / "b"))
    assert len(mnist("train")) == available("mnist", "train") == 30


def test_files_may_be_read_by_whom_the_umask_lets(mirror, tmp_path):
    target = download(tmp_path, mirror=mirror.url)
    (tmp_path / "plain").write_bytes(b"")
    modes = {path.stat().st_mode for path in [*target.iterdir(), tmp_path / "plain"]}
    assert len(modes) == 1


def test_what_is_there_already_is_not_fetched_again_unless_it_is_wrong(mirror, tmp_path):
    target = download(tmp_path, mirror=mirror.url)
    assert len(mirror.asked) == 4
    download(tmp_path, mirror=mirror.url)
    assert len(mirror.asked) == 4
    (target / NAMES[0]).write_bytes(b"rubbish")
    download(tmp_path, mirror=mirror.url)
    assert mirror.asked[4:] == [f"/{NAMES[0]}"]


def test_unzipped_files_count(mirror, tmp_path, monkeypatch):
    target = tmp_path / "mnist"
    target.mkdir()
    for name, content in mirror.files.items():
        (target / name).with_suffix("").write_bytes(gzip.decompress(content))
    download(tmp_path, mirror=mirror.url)
    assert mirror.asked == []
    (target / TRAIN).with_suffix("").write_bytes(b"rubbish")
    download(tmp_path, mirror=mirror.url)
    assert mirror.asked == [f"/{TRAIN}"]
    monkeypatch.setenv("FCNN_DATA", str(tmp_path))
    assert len(mnist("train")) == 30


def test_a_tilde_is_the_home(mirror, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert download("~/data", mirror=mirror.url) == tmp_path / "home" / "data" / "mnist"
    assert names(tmp_path) == ["home"]


def test_a_wrong_file_leaves_the_old_one_as_it_was(mirror, tmp_path):
    target = tmp_path / "mnist"
    target.mkdir()
    (target / TRAIN).write_bytes(b"old")
    mirror.files[TRAIN] = b"<html>moved</html>"
    with pytest.raises(DataError, match=rf"{mirror.url}{TRAIN} is not the right file: expected"):
        download(tmp_path, mirror=mirror.url)
    assert (target / TRAIN).read_bytes() == b"old"
    assert names(target) == [TRAIN]


def test_what_was_fetched_before_an_error_stays(mirror, tmp_path):
    del mirror.files[NAMES[3]]
    with pytest.raises(DataError, match=rf"{NAMES[3]}: HTTP Error 404"):
        download(tmp_path, mirror=mirror.url)
    assert names(tmp_path / "mnist") == [TRAIN]


def test_every_mirror_is_named_where_none_helps(mirror, other_mirror, tmp_path):
    mirror.files[TRAIN] = b""
    other_mirror.files.clear()
    with pytest.raises(DataError) as caught:
        download(tmp_path, mirror=(mirror.url, other_mirror.url))
    assert f"{mirror.url}{TRAIN} is not the right file" in str(caught.value)
    assert f"cannot fetch {other_mirror.url}{TRAIN}: HTTP Error 404" in str(caught.value)
    assert "pass another mirror or a longer timeout" in str(caught.value)


def test_no_server_is_told_by_address(small_mnist, tmp_path):
    with pytest.raises(DataError, match=r"cannot fetch http://127\.0\.0\.1:1/.*refused"):
        download(tmp_path)


@pytest.mark.parametrize(
    "address",
    ["http://", "http://[::1/", "http://127.0.0.1:port/", "http://a\0b/", f"http://{'a' * 70}/"],
)
def test_an_address_that_is_none_is_refused(small_mnist, tmp_path, address):
    with pytest.raises(DataError, match="cannot fetch"):
        download(tmp_path, mirror=address)
    assert names(tmp_path / "mnist") == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "cifar"},
        {"mirror": "file:///tmp"},
        {"mirror": ("http://127.0.0.1:1/", "ftp://x")},
        {"mirror": ()},
        {"mirror": 3},
        {"timeout": -1},
        {"timeout": "1"},
        {"timeout": float("inf")},
    ],
)
def test_refuses_what_is_no_set_no_mirror_and_no_time(tmp_path, arguments):
    with pytest.raises(ArgumentError):
        download(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("folder", [b"data", "~no_such_user/data"])
def test_refuses_what_is_no_folder(folder):
    with pytest.raises(ArgumentError, match="expected the path of a folder"):
        download(folder, mirror="http://127.0.0.1:1/")


def test_a_folder_that_cannot_be_made_is_pythons_own_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        download(tmp_path / "file", mirror="http://127.0.0.1:1/")


def test_threads_that_share_a_folder_all_get_whole_files(mirror, tmp_path):
    errors = []

    def run(folder):
        try:
            download(folder, mirror=mirror.url)
        except Exception as error:
            errors.append(error)

    for i in range(5):
        folder = tmp_path / str(i)
        threads = [threading.Thread(target=run, args=(folder,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert are_whole(folder / "mnist", mirror)


def test_a_file_that_is_being_written_is_left_alone(mirror, other_mirror, tmp_path):
    event, results = threading.Event(), []
    hold(mirror, event)
    slow = threading.Thread(target=lambda: results.append(download(tmp_path, mirror=mirror.url)))
    slow.start()
    try:
        wait_for(lambda: parts(tmp_path))
        before = parts(tmp_path)
        download(tmp_path, mirror=other_mirror.url)
        assert parts(tmp_path) == before
    finally:
        event.set()
        slow.join()
    assert results == [tmp_path / "mnist"]
    assert are_whole(tmp_path / "mnist", mirror)


def test_a_file_that_nobody_writes_any_more_is_removed(mirror, tmp_path):
    target = tmp_path / "mnist"
    target.mkdir()
    (target / f".{TRAIN}.4711.part").write_bytes(b"half")
    (target / ".other.part").write_bytes(b"another program's")
    download(tmp_path, mirror=mirror.url)
    assert names(target) == [".other.part", *NAMES]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", ["SIGINT", "SIGKILL"])
def test_a_run_that_is_ended_leaves_nothing_for_long(mirror, tmp_path, number):
    event = threading.Event()
    hold(mirror, event)
    code = f"import fcnn.data; fcnn.data.download({str(tmp_path)!r}, mirror={mirror.url!r})"
    run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: parts(tmp_path))
        run.send_signal(getattr(signal, number))
        assert run.wait(10) != 0
    finally:
        run.kill()
        run.wait()
        event.set()
    assert len(parts(tmp_path)) == (number == "SIGKILL")
    mirror.answer = type(mirror).right
    assert are_whole(download(tmp_path, mirror=mirror.url), mirror)
