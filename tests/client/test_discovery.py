"""A running backend is found by a file that only its user can write."""

import os

import pytest

from backend.client import Keys
from backend.client.discovery import Endpoint, endpoint_file, find_backend, publish, read, withdraw


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(tmp_path / "state"))


HERE = Endpoint("tcp://127.0.0.1:5555", os.getpid(), "session", keys=Keys.new(server=Keys.new().public))


def test_what_is_published_is_found():
    path = publish(HERE)
    assert path == endpoint_file()
    assert find_backend() == HERE
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert os.listdir(path.parent) == [path.name]


def test_a_backend_named_by_its_address_is_asked_with_this_users_keys():
    publish(HERE)
    assert Endpoint.at("tcp://127.0.0.1:5555") == Endpoint.at("tcp://localhost:5555") == HERE
    assert Endpoint.at("tcp://127.0.0.1:5556").keys is None


def test_keys_are_not_shown():
    assert HERE.keys.secret.decode() not in repr(HERE)


def test_a_backend_that_ended_without_a_word_is_not_found():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    publish(Endpoint("tcp://127.0.0.1:5555", child, "gone"))
    assert read() is not None
    assert find_backend() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"address": 5}', b"\xff\xfe", b'{"address": "a", "pid": 1}'])
def test_a_damaged_file_is_no_backend(content):
    path = publish(HERE)
    path.write_bytes(content)
    assert find_backend() is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o640, 0o604])
def test_a_file_that_others_can_read_or_write_is_not_trusted(mode):
    publish(HERE).chmod(mode)
    assert find_backend() is None


@pytest.mark.parametrize("pid", [0, -1, 2**70])
def test_odd_process_ids_are_no_backend(pid):
    path = publish(HERE)
    path.write_text(f'{{"address": "tcp://127.0.0.1:1", "pid": {pid}, "session": "s"}}')
    assert find_backend() is None


def test_only_its_own_session_withdraws_the_file():
    publish(HERE)
    withdraw("another")
    assert find_backend() == HERE
    withdraw("session")
    assert find_backend() is None
    withdraw("session")
