"""The job's lock: one driver at a time, and stale ones are recognised."""

import os
import subprocess
import sys

import msgspec
import psutil
import pytest

from backend.batch.lock import SILENT_SECONDS, Holder, JobLock
from backend.protocol.errors import TurboPortraitError


def left_by(path, **changes):
    """The lock file of a holder that differs from this process."""
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(Holder.here(), **changes)))
    return JobLock(path)


def test_taken_refused_given_back(tmp_path):
    first, second = JobLock(tmp_path / "lock.json"), JobLock(tmp_path / "lock.json")
    assert first.acquire() == ""
    with pytest.raises(TurboPortraitError) as error:
        second.acquire()
    assert error.value.code == "job_locked"
    second.release()
    assert first.path.exists()
    first.release()
    assert not first.path.exists()
    assert second.acquire() == ""
    second.release()


def test_a_dead_process_holds_nothing(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert "stale" in left_by(tmp_path / "lock.json", pid=gone.pid, started=0.0).acquire()


def test_another_process_with_the_same_id_holds_nothing(tmp_path):
    started = psutil.Process().create_time() - 1000
    assert "stale" in left_by(tmp_path / "lock.json", started=started).acquire()


def test_a_lock_does_not_outlive_the_machines_start(tmp_path):
    assert "stale" in left_by(tmp_path / "lock.json", boot="earlier").acquire()


def test_another_machine_is_believed_while_it_is_heard(tmp_path):
    path = tmp_path / "lock.json"
    with pytest.raises(TurboPortraitError, match="elsewhere"):
        left_by(path, host="elsewhere").acquire()
    silent = path.stat().st_mtime - SILENT_SECONDS - 1
    os.utime(path, (silent, silent))
    assert "stale" in JobLock(path).acquire()


def test_a_damaged_lock_is_replaced(tmp_path):
    (tmp_path / "lock.json").write_bytes(b"\0\0")
    assert "stale" in JobLock(tmp_path / "lock.json").acquire()


def test_many_at_once_get_it_one_by_one(tmp_path):
    """Of several processes that find the same stale lock at the same moment exactly one gets it."""
    path = tmp_path / "lock.json"
    left_by(path, boot="earlier")
    code = (
        "import sys; from pathlib import Path; from backend.batch.lock import JobLock\n"
        "from backend.protocol.errors import TurboPortraitError\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "try: JobLock(Path(sys.argv[1])).acquire(); print('mine', flush=True)\n"
        "except TurboPortraitError: print('refused', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = sorted(process.stdout.readline().strip() for process in processes)
    for process in processes:
        process.communicate("\n")
    assert answers == ["mine", "refused", "refused", "refused"]
