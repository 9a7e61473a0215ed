"""The job's lock: one run at a time, and nothing that a file says passes for one."""

import os
import signal
import socket
import subprocess
import sys
import threading

import msgspec
import pytest

from backend.protocol import job_lock
from backend.protocol.errors import TurboPortraitError
from backend.protocol.job_lock import Holder, JobLock, LockWatch

CODE = (
    "import sys; from pathlib import Path; from backend.protocol.job_lock import JobLock\n"
    "from backend.protocol.errors import TurboPortraitError\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
    "try: JobLock(Path(sys.argv[1])).acquire(); print('mine', flush=True)\n"
    "except TurboPortraitError: print('refused', flush=True)\n"
    "sys.stdin.readline()\n"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock.json"


@pytest.fixture
def quick(monkeypatch):
    """Heartbeats twenty times as fast."""
    monkeypatch.setattr(job_lock, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(job_lock, "WATCH_SECONDS", 0.4)


@pytest.fixture
def start(path):
    processes = []

    def another():
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield another
    for process in processes:
        process.kill()
        process.communicate()


def go(process):
    process.stdin.write("\n")
    process.stdin.flush()


def left_by(path, **changes):
    """A lock file that nobody keeps locked."""
    said = {"pid": os.getpid(), "host": socket.gethostname(), "token": "t"} | changes
    path.write_bytes(msgspec.json.encode(said))
    return path


def test_taken_refused_given_back(path):
    first, second, watch = JobLock(path), JobLock(path), LockWatch(path)
    assert not watch.running()
    assert first.acquire() == ""
    assert watch.running()
    with pytest.raises(TurboPortraitError, match=str(os.getpid())) as error:
        second.acquire()
    assert error.value.code == "job_locked"
    second.release()
    assert watch.running()
    first.release()
    assert not watch.running()
    assert second.acquire() == ""
    second.release()


def test_a_killed_run_holds_nothing(path, start):
    run = start()
    go(run)
    assert run.stdout.readline() == "mine\n"
    assert LockWatch(path).running()
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not LockWatch(path).running()
    lock = JobLock(path)
    assert "stale" in lock.acquire()
    lock.release()


def test_many_at_once_get_it_one_by_one(path, start):
    """Of several processes that find the same stale lock at the same moment exactly one gets it."""
    left_by(path)
    processes = [start() for _ in range(4)]
    for process in processes:
        go(process)
    answers = sorted(process.stdout.readline().strip() for process in processes)
    assert answers == ["mine", "refused", "refused", "refused"]


@pytest.mark.parametrize("pid", [-1, 0, 1, os.getpid()], ids=["nobody", "the group", "the first", "ours"])
def test_no_process_is_believed_to_hold_what_is_not_locked(path, pid):
    left_by(path, pid=pid)
    os.utime(path, (4e9, 4e9))
    assert not LockWatch(path).running()
    lock = JobLock(path)
    assert "stale" in lock.acquire()
    lock.release()


def test_another_machine_is_believed_while_its_heartbeat_moves(path, quick):
    left_by(path, host="elsewhere")
    watch, ended, beat = LockWatch(path), threading.Event(), threading.Event()

    def elsewhere():
        for second in range(10**6):
            # Its clock goes backwards; that it moves is all that counts.
            os.utime(path, (4e9 - second, 4e9 - second))
            beat.set()
            if ended.wait(0.01):
                return

    thread = threading.Thread(target=elsewhere)
    thread.start()
    try:
        beat.wait()
        with pytest.raises(TurboPortraitError, match="elsewhere") as error:
            JobLock(path).acquire()
        assert error.value.code == "job_locked"
        watch.running()
        beat.clear()
        beat.wait()
        beat.clear()
        beat.wait()
        assert watch.running()
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("time", [0, 1.7e9, 4e9])
def test_another_machine_whose_heartbeat_does_not_move_is_gone(path, quick, time):
    left_by(path, host="elsewhere", pid=-1)
    os.utime(path, (time, time))
    assert not LockWatch(path).running()
    lock = JobLock(path)
    assert "stale" in lock.acquire()
    lock.release()


def test_a_clock_that_jumps_ends_no_run(path, quick):
    lock, watch = JobLock(path), LockWatch(path)
    lock.acquire()
    for time in (0, 4e9):
        os.utime(path, (time, time))
        assert watch.running()
        with pytest.raises(TurboPortraitError):
            JobLock(path).acquire()
    lock.release()


def test_where_there_are_no_locks_the_heartbeat_decides(path, quick, monkeypatch):
    monkeypatch.setattr(job_lock, "_lock_now", lambda file: (_ for _ in ()).throw(OSError(job_lock._NO_LOCKS[0], "x")))
    first, second = JobLock(path), JobLock(path)
    first.acquire()
    with pytest.raises(TurboPortraitError):
        second.acquire()
    first.release()
    assert second.acquire() == ""
    second.release()


def test_a_run_is_asked_to_stop_by_a_file(path):
    lock, watch = JobLock(path), LockWatch(path)
    watch.request_stop()
    assert not lock.path.with_name("stop").exists()
    lock.acquire()
    assert not lock.stop_requested()
    lock.path.with_name("stop").write_text("another run's token")
    assert not lock.stop_requested()
    watch.request_stop()
    assert lock.stop_requested()
    lock.release()
    lock.acquire()
    assert not lock.stop_requested()
    lock.release()


@pytest.mark.parametrize("content", [b"", b"\0\0", b"{" * 5000, b'{"pid": -1}', b"[" * 10**6])
def test_a_damaged_lock_is_replaced(path, content):
    path.write_bytes(content)
    lock = JobLock(path)
    lock.acquire()
    assert msgspec.json.decode(path.read_bytes(), type=Holder).pid == os.getpid()
    lock.release()


def test_a_link_or_a_pipe_in_place_of_the_lock_is_refused(path, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("precious")
    path.symlink_to(mine)
    with pytest.raises(TurboPortraitError) as error:
        JobLock(path).acquire()
    assert error.value.code == "cannot_write"
    assert mine.read_text() == "precious"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(TurboPortraitError):
        JobLock(path).acquire()
    assert not LockWatch(path).running()
