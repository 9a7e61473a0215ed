"""Where the backend listens, and where it refuses to."""

import os
import socket
import threading
from pathlib import Path

import msgspec
import pytest
from little_head import little_catalog

from backend.client import BackendProcess, Client, Endpoint, Keys
from backend.client.keys import make_keys
from backend.pipeline import Pipeline
from backend.protocol.errors import TurboPortraitError
from backend.server import Server
from backend.server.address import check_address


@pytest.mark.parametrize(
    ("address", "bound"),
    [
        ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555"),
        ("tcp://localhost:*", "tcp://127.0.0.1:*"),
        ("tcp://127.8.9.1:1", "tcp://127.8.9.1:1"),
        ("tcp://[::1]:65535", "tcp://[::1]:65535"),
    ],
)
def test_loopback_needs_no_keys(address, bound):
    assert check_address(address, False) == bound


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.168.1.7", "[::]", "eth0", "example.org", "10.0.0.1"])
def test_any_other_address_is_refused_without_keys(host):
    with pytest.raises(TurboPortraitError) as error:
        check_address(f"tcp://{host}:5555", False)
    assert error.value.code == "insecure_address"


def test_the_server_itself_refuses_to_start():
    with pytest.raises(TurboPortraitError) as error:
        Server(Pipeline(little_catalog(), device="cpu"), "tcp://0.0.0.0:*")
    assert error.value.code == "insecure_address"


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1:5555", "tcp://127.0.0.1", "tcp://127.0.0.1:70000", "udp://127.0.0.1:5", "tcp://:5", "ipc://", "a"],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(TurboPortraitError) as error:
        check_address(address, False)
    assert error.value.code == "bad_address"


def test_a_port_that_is_taken_is_told_with_the_way_out(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        process = BackendProcess.start(address=address, log=tmp_path / "log", endpoint_path=tmp_path / "endpoint")
        assert process.process.wait(60) == 2
    said = " ".join((tmp_path / "log").read_text().split())
    assert f"{address}: another program listens there already" in said
    assert "with * as the port for any free one" in said
    assert not (tmp_path / "endpoint").exists()


def test_a_socket_file_serves_too_and_goes_with_its_backend(serve, connect, tmp_path):
    path = tmp_path / "b.sock"
    server = Server(Pipeline(little_catalog(), device="cpu"), f"ipc://{path}")
    thread = threading.Thread(target=server.run)
    thread.start()
    assert connect(server.endpoint).status().clients == 1
    assert path.stat().st_mode & 0o077 == 0
    server.stop()
    thread.join()
    server.close()
    assert not path.exists()


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("elsewhere")])
def test_what_lies_where_the_socket_shall_be_stays(tmp_path, make):
    path = tmp_path / "letter.txt"
    make(path)
    before = path.lstat()
    with pytest.raises(TurboPortraitError, match="exists already"):
        Server(Pipeline(little_catalog(), device="cpu"), f"ipc://{path}")
    assert os.path.samestat(path.lstat(), before)


def test_a_living_backends_socket_is_not_taken_over(serve, connect, tmp_path):
    server = serve(Pipeline(little_catalog(), device="cpu"), address=f"ipc://{tmp_path}/b.sock")
    with pytest.raises(TurboPortraitError, match="listens"):
        Server(Pipeline(little_catalog(), device="cpu"), f"ipc://{tmp_path}/b.sock")
    assert connect(server.endpoint).status().clients == 1


def test_a_dead_backends_socket_is_taken_over(serve, connect, tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "b.sock"))
    server = serve(Pipeline(little_catalog(), device="cpu"), address=f"ipc://{tmp_path}/b.sock")
    assert connect(server.endpoint).status().clients == 1


def with_keys(endpoint, keys):
    return msgspec.structs.replace(endpoint, keys=keys)


def refused(endpoint):
    with Client(endpoint) as client, pytest.raises(TurboPortraitError) as error:
        client.connect()
    return error.value.code == "backend_unreachable"


@pytest.fixture
def keys(tmp_path):
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


def test_without_its_keys_a_backend_answers_nothing(serve, connect, monkeypatch):
    monkeypatch.setattr("backend.client.connection.CONNECT_SECONDS", 1.0)
    here = serve(Pipeline(little_catalog(), device="cpu")).endpoint
    assert refused(with_keys(here, None))
    assert refused(with_keys(here, Keys.new(server=here.keys.server)))
    assert refused(with_keys(here, Keys(here.keys.public, here.keys.secret, Keys.new().public)))
    assert connect(here).status().clients == 1


def test_keys_of_a_folder_let_others_in_beside_the_user(serve, connect, tmp_path, keys):
    make_keys(tmp_path / "others")
    server = serve(Pipeline(little_catalog(), device="cpu"), keys_folder=keys)
    assert connect(server.endpoint).backend
    theirs = Endpoint.at(server.endpoint.address, keys)
    assert connect(theirs).status().clients == 2
    stranger = Keys.for_client(tmp_path / "others")
    assert refused(with_keys(theirs, Keys(stranger.public, stranger.secret, theirs.keys.server)))


def test_a_revoked_key_counts_at_once(serve, connect, keys):
    server = serve(Pipeline(little_catalog(), device="cpu"), keys_folder=keys)
    theirs = Endpoint.at(server.endpoint.address, keys)
    client = connect(theirs)
    (keys / "clients" / "client.key").unlink()
    with pytest.raises(TurboPortraitError) as error:
        client.status(20)
    assert error.value.code == "backend_lost"
    assert refused(theirs)
    assert connect(server.endpoint).status().clients == 1


def test_a_damaged_key_lets_nobody_in_and_keeps_nobody_out(serve, connect, keys):
    (keys / "clients" / "damaged.key").write_text("no key")
    server = serve(Pipeline(little_catalog(), device="cpu"), keys_folder=keys)
    assert connect(Endpoint.at(server.endpoint.address, keys)).backend


def test_keys_are_private_and_never_overwritten(tmp_path):
    make_keys(tmp_path / "keys")
    assert (tmp_path / "keys" / "server.key_secret").stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        make_keys(tmp_path / "keys")


def test_a_folder_without_keys_says_so(tmp_path):
    with pytest.raises(TurboPortraitError) as error:
        Keys.for_server(tmp_path)
    assert error.value.code == "insecure_address"
