"""The backend as a process: started, found, shared, stopped, killed in the middle of its work."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import zmq
from little_head import PORTRAIT, photo

from backend.client import BackendLost, BackendProcess, BackendUnreachable, Client, TurboPortraitError, find_backend
from backend.client.discovery import Endpoint, endpoint_file
from backend.protocol import limits
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import ErrorReply, Progress, Render, View

REST = HeadParameters()
VIEWS = (View("front", PORTRAIT),)


def test_start_find_share_and_stop(spawn, connect):
    process = spawn()
    endpoint = process.wait_ready()
    assert find_backend() == endpoint
    assert endpoint_file().stat().st_mode & 0o777 == 0o600
    first, second = connect(endpoint), connect(find_backend())
    avatar = first.register(photo(), "little").avatar
    assert second.render(avatar, REST, VIEWS).refined["front"].rgba[..., 3].any()
    process.stop()
    assert not process.running
    assert process.process.returncode == 0
    assert find_backend() is None
    assert not endpoint_file().exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows priority classes, not niceness")
def test_a_hosts_backend_leaves_the_processor_to_its_host(spawn, connect):
    process = spawn(low_priority=True)
    endpoint = process.wait_ready()
    threads = {os.getpriority(os.PRIO_PROCESS, thread.id) for thread in psutil.Process(process.process.pid).threads()}
    assert threads == {min(os.getpriority(os.PRIO_PROCESS, 0) + 5, 19)}
    group = Path(f"/proc/{process.process.pid}/autogroup")
    if group.exists():
        assert group.read_text().split()[-1] == "5"
    assert connect(endpoint).register(photo(), "little").avatar


def test_a_backend_killed_in_mid_render_fails_the_render_at_once(spawn, connect):
    process = spawn("--block-rendering")
    client = connect(process.wait_ready())
    avatar = client.register(photo(), "little").avatar
    handle = client.submit(Render, avatar=avatar, parameters=REST, views=VIEWS)

    def kill_when_at_work(reply):
        if isinstance(reply, Progress):
            process.process.kill()

    with pytest.raises(BackendLost) as error:
        client.wait(handle, 60, on_reply=kill_when_at_work)
    assert error.value.code == "backend_lost"
    assert error.value.hint
    assert isinstance(client.lost, BackendLost)
    process.process.wait()
    assert find_backend() is None  # The file is still there, the process is not.


def test_what_is_submitted_after_the_loss_fails_at_once_and_poll_tells(spawn, connect):
    process = spawn("--block-rendering")
    client = connect(process.wait_ready())
    avatar = client.register(photo(), "little").avatar
    waiting = client.submit(Render, avatar=avatar, parameters=REST, views=VIEWS)
    process.process.kill()
    process.process.wait()
    with pytest.raises(BackendLost):
        client.wait(waiting, 30)
    after = client.submit(Render, avatar="x", parameters=REST, views=VIEWS)
    events = client.poll()
    assert any(handle is after and isinstance(reply, ErrorReply) for handle, reply in events)
    assert after.error.code == "backend_lost"


def test_a_backend_that_falls_silent_is_lost(spawn, connect, monkeypatch):
    process = spawn()
    client = connect(process.wait_ready())
    monkeypatch.setattr(limits, "LIVENESS_SECONDS", 2.5)
    process.process.send_signal(signal.SIGSTOP)
    handle = client.submit(Render, avatar="x", parameters=REST, views=VIEWS)
    with pytest.raises(BackendLost) as error:
        client.wait(handle, 60)
    assert "silent" in error.value.sentence


def test_a_blocked_backend_stops_all_the_same(spawn, connect):
    process = spawn("--block-rendering")
    client = connect(process.wait_ready())
    avatar = client.register(photo(), "little").avatar
    handle = client.submit(Render, avatar=avatar, parameters=REST, views=VIEWS)
    while handle.progress is None:
        client.poll(0.5)
    process.process.terminate()
    assert process.process.wait(30) == 0


def test_it_ends_with_the_process_that_started_it(spawn):
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = spawn("--parent", str(parent.pid), stay=True)
    with Client(process.wait_ready()) as client:
        client.connect()
        parent.communicate(b"\n")
        assert process.process.wait(30) == 0


def test_a_start_that_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(tmp_path))
    log = tmp_path / "log"
    process = BackendProcess.start(command=[sys.executable, "-c", "raise SystemExit('no torch here')"], log=log)
    with pytest.raises(TurboPortraitError) as error:
        process.wait_ready()
    assert error.value.code == "backend_not_started"
    assert "no torch here" in error.value.sentence
    with pytest.raises(TurboPortraitError) as error:
        BackendProcess.start(tmp_path / "no-python")
    assert error.value.code == "backend_not_started"


def test_a_backend_of_another_version_is_told_apart():
    with zmq.Context() as context, context.socket(zmq.ROUTER) as newer:
        port = newer.bind_to_random_port("tcp://127.0.0.1")
        with Client(Endpoint.at(f"tcp://127.0.0.1:{port}")) as client:
            handle = client.submit(Render, avatar="x", parameters=REST, views=VIEWS)
            identity, prelude, *_ = newer.recv_multipart()
            newer.send_multipart([identity, prelude[:4] + b"\x63\x00", b"what they will say"])
            with pytest.raises(TurboPortraitError) as error:
                client.wait(handle, 30)
            assert error.value.code == "protocol_version"
            assert client.lost.code == "protocol_version"


def test_nothing_listens(monkeypatch):
    monkeypatch.setattr("backend.client.connection.CONNECT_SECONDS", 0.3)
    with Client(Endpoint.at("tcp://127.0.0.1:9")) as client:
        handle = client.submit(Render, avatar="x", parameters=REST, views=VIEWS)
        assert client.poll() == []
        with pytest.raises(BackendUnreachable):
            client.wait(handle)
        with pytest.raises(BackendUnreachable):
            client.connect()


def test_serve_refuses_an_address_that_others_can_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(tmp_path))
    command = [sys.executable, "-m", "backend.commands", "serve", "--address", "tcp://0.0.0.0:5599"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 2
    assert "insecure_address" in outcome.stderr
    assert "--make-keys" in outcome.stderr
