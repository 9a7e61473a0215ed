"""Files are there whole or not at all, and a disk that takes no more is told as what it is."""

import errno
import os
import resource
import stat
from contextlib import contextmanager, suppress

import pytest

from backend.protocol.errors import TurboPortraitError, describe, storage_code
from backend.protocol.files import append_file, atomic_file, atomic_folder, remove_parts, write_file


@contextmanager
def full_disk(most: int = 8192):
    """No file can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_or_stays(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_file(path, "first")
    write_file(path, b"second")
    with full_disk(), pytest.raises(TurboPortraitError, match="new") as caught:
        write_file(path, "third" * 10_000)
    assert caught.value.code == "disk_full"
    with suppress(KeyError), atomic_file(path) as part:
        part.write_text("half")
        raise KeyError
    assert path.read_text() == "second"
    assert names(path.parent) == ["a.txt"]


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    folder = tmp_path / "result"

    def write(text):
        with atomic_folder(folder) as part:
            (part / "deep").mkdir()
            (part / "deep" / "a.txt").write_text(text)

    write("first")
    (tmp_path / ".result.part").mkdir()
    (tmp_path / ".result.part" / "left by a writer that was killed").touch()
    write("second")
    with full_disk(), pytest.raises(TurboPortraitError, match="result"):
        write("third" * 10_000)
    assert (folder / "deep" / "a.txt").read_text() == "second"
    assert names(tmp_path) == ["result"]
    assert names(folder) == ["deep"]


def test_a_file_grows_by_all_of_it_or_nothing(tmp_path):
    path = tmp_path / "log"
    append_file(path, b"one\n")
    with full_disk(6), pytest.raises(TurboPortraitError):
        append_file(path, b"two\n")
    append_file(path, b"three\n")
    assert path.read_bytes() == b"one\nthree\n"


def test_a_private_file_is_private_from_its_first_byte(tmp_path):
    with atomic_file(tmp_path / "key", mode=0o600) as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_link_is_replaced_and_what_it_names_stays(tmp_path):
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_file(tmp_path / "link", "new")
    assert (tmp_path / "target").read_text() == "mine"
    assert (tmp_path / "link").read_text() == "new"


def test_only_what_was_left_half_written_is_removed(tmp_path):
    kept = [".shot.0001.part.png", "0" * 32 + ".part", f".{'g' * 32}.part", f".{'0' * 32}.part.png"]
    for name in kept:
        (tmp_path / name).touch()
    left = tmp_path / f".{'0' * 32}.part"
    left.touch()
    (tmp_path / f".{'1' * 32}.part").mkdir()
    link = tmp_path.parent / f"{tmp_path.name} link"
    link.symlink_to(tmp_path)
    assert remove_parts(link) == 0
    assert remove_parts(tmp_path / "nowhere") == 0
    assert remove_parts(tmp_path) == 1
    assert names(tmp_path) == sorted([*kept, f".{'1' * 32}.part"])


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "x"), "disk_full"),
        (OSError(errno.EDQUOT, "x"), "disk_full"),
        (OSError(errno.EFBIG, "x"), "disk_full"),
        (OSError(errno.EROFS, "x"), "read_only"),
        (RuntimeError(f"OpenEXR: {os.strerror(errno.ENOSPC)}."), "disk_full"),
        (caused(RuntimeError("unexpected pos"), OSError(errno.ENOSPC, "x")), "disk_full"),
        (TurboPortraitError("read_only"), "read_only"),
        (OSError(errno.EACCES, "x"), ""),
        (ValueError("x"), ""),
    ],
)
def test_why_nothing_can_be_written(error, code):
    assert storage_code(error) == code
    if code:
        assert describe(error).code == code


def test_a_file_without_a_place_is_told_plainly(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TurboPortraitError, match="file") as caught:
        write_file(tmp_path / "file" / "below", "x")
    assert caught.value.code == "cannot_write"
