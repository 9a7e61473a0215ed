"""Commands on disks that take nothing more: an error of one line, and what was there before is still there."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.photos.saving import save_picture
from backend.protocol.errors import TurboPortraitError
from flame.files import default_head_path

from .fuzz_disks import PLENTY, may_mount, mount, remount
from .tiny_batch import Forks

pytestmark = pytest.mark.slow
ADD = ("models", "add", "flame", str(default_head_path()), "--name", "mine")
SMALL, READ_ONLY = PLENTY.replace("64m", "8k"), PLENTY.replace("rw", "ro")


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forks")
    with Forks(folder) as forks:
        if forks.call(may_mount, str(folder))[0]:
            pytest.skip("this account may not mount a disk")
        yield forks


def command(*words: str) -> list:
    """Exit status and what was said."""
    from backend.commands.app import main

    sys.argv[1:] = words
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as ended:
            return [ended.code, said.getvalue()]
    return [0, said.getvalue()]


def on_disk(folder: str, options: str, *words: str) -> list:
    """A command whose state and models lie on a disk of these options; and the files that are there then."""
    disk = _disk(folder, options)
    return [*command(*words), _files(disk)]


def remove_from_read_only(folder: str) -> list:
    """Install a head model, and remove it when the disk can only be read."""
    disk = _disk(folder, PLENTY)
    assert command(*ADD)[0] == 0
    remount(disk, "ro")
    return [*command("models", "remove", "flame", "mine"), _files(disk)]


def save(folder: str, options: str) -> list:
    """Save a picture as `register` and `render` do."""
    disk = _disk(folder, options)
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 4), np.uint8)
    try:
        save_picture(disk / "views" / "a.png", noise)
    except TurboPortraitError as error:
        return [2, f"error: {error}", _files(disk)]
    return [0, "", _files(disk)]


def _disk(folder: str, options: str) -> Path:
    disk = Path(folder) / "disk"
    disk.mkdir()
    mount(disk, options)
    os.environ |= {"TURBOPORTRAIT_STATE": str(disk / "state"), "TURBOPORTRAIT_MODELS": str(disk / "models")}
    return disk


def _files(disk: Path) -> list[str]:
    return sorted(path.name for path in disk.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("function", "arguments", "code", "left"),
    [
        (on_disk, (SMALL, *ADD), "disk_full", []),
        (on_disk, (READ_ONLY, *ADD), "read_only", []),
        (on_disk, (READ_ONLY, "serve"), "read_only", []),
        (remove_from_read_only, (), "read_only", ["mine.json", "mine.npz"]),
        (save, (SMALL,), "disk_full", []),
        (save, (READ_ONLY,), "read_only", []),
    ],
)
def test_a_command_without_room_says_so_in_one_line(forks, tmp_path, function, arguments, code, left):
    status, (ended, said, files) = forks.call(function, str(tmp_path), *arguments)
    assert (status, ended, files) == (0, 2, left), said
    assert f"[{code}]" in said
    assert len(said.strip().splitlines()) == 1, said
