"""A batch on disks without room: small ones, ones with few files, read-only ones, and files that may not grow.

Each ends with a line that says so, and goes on where it stopped as soon as there is room. Disks need the right to
mount, in a namespace of the process's own; where that is not given, files that may not grow are all that is tried.
"""

from __future__ import annotations

import ctypes
import io
import os
import random
import resource
import subprocess
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from .tiny_batch import WHOLE, Forks, batch, check_whole, command, events, pictures, recorded, times

PAGE = 4096
MOST_PAGES = 24
"""About what an undisturbed batch takes."""
NEW_NAMESPACE, NEW_USER = 0x00020000, 0x10000000
PLENTY = "size=64m,nr_inodes=10000,rw"


def run(count: int, seed: int) -> dict[str, int]:
    """See the package: how each kind of disk ended it."""
    chance, outcomes = random.Random(seed), Counter()
    with tempfile.TemporaryDirectory() as name, Forks(Path(name)) as forks:
        kinds = ["limit"]
        if forks.call(may_mount, name)[0] == 0:
            kinds += ["size", "size", "files", "read only", "read only later"]
        for number in range(count):
            kind = kinds[number % len(kinds)]
            amount = {"size": chance.randint(1, MOST_PAGES), "files": chance.randint(2, 30)}.get(kind, 0)
            status, ended = forks.call(attack, name, kind, amount or chance.randint(1, 2 * PAGE))
            assert status == 0, f"seed {seed}, attack {number}: {kind} {amount}"
            outcomes[f"{kind}: {ended}"] += 1
    return dict(outcomes)


def may_mount(folder: str) -> None:
    """Fails where a disk of our own cannot be mounted."""
    mount(Path(folder), PLENTY)


def attack(folder: str, kind: str, amount: int) -> str:
    """Run a batch on such a disk, then with room; in a process of its own. What the first one ended with."""
    output = Path(tempfile.mkdtemp(dir=folder)) / "disk" / "out"
    output.parent.mkdir()
    if kind == "limit":
        with _limited(amount):
            said = _ended(folder, output, "disk_full")
        return _resumed(folder, output, said)
    options = {
        "size": f"size={amount * PAGE}",
        "files": f"size=64m,nr_inodes={amount}",
        "read only": PLENTY.replace("rw", "ro"),
    }
    mount(output.parent, options.get(kind, PLENTY))
    if kind == "read only later":
        assert batch(folder, str(output), f"{output.parent.parent}/said") == 0
        next(output.rglob("*.png")).unlink()
        remount(output.parent, "ro")
    said = _ended(folder, output, "read_only" if kind.startswith("read only") else "disk_full")
    remount(output.parent, PLENTY)
    return _resumed(folder, output, said)


def _ended(folder: str, output: Path, code: str) -> str:
    """A batch for which there may be no room: what it said, whose last line says how it ended."""
    out, log = io.StringIO(), io.StringIO()
    status = command(folder, str(output), out, log)
    said = events(out.getvalue())
    assert said, log.getvalue()
    assert said[-1]["event"] == "done", log.getvalue()
    assert "Traceback" not in log.getvalue(), log.getvalue()
    codes = {event["code"] for event in said if "code" in event}
    assert codes <= {code}, said
    assert status == (2 if "code" in said[-1] else 1 if said[-1]["failed"] else 0), (status, said)
    return out.getvalue()


def _resumed(folder: str, output: Path, said: str) -> str:
    before = times(output, recorded(said))
    assert pictures(output).items() <= pictures(Path(folder) / WHOLE).items()
    out, log = io.StringIO(), io.StringIO()
    assert command(folder, str(output), out, log) == 0, log.getvalue()
    check_whole(output, Path(folder) / WHOLE, out.getvalue(), before)
    last = events(said)[-1]
    return last.get("code") or ("some failed" if last["failed"] else "all fitted")


@contextmanager
def _limited(most: int):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def mount(place: Path, options: str) -> None:
    """A disk that only this process sees, and that ends with it."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NAMESPACE | (NEW_USER if user else 0)):
        raise OSError(ctypes.get_errno(), "unshare")
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True, capture_output=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True, capture_output=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True, capture_output=True)
