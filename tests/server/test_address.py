"""Where the backend listens, and where it refuses to."""

import pytest
from little_head import little_catalog

from backend.client import Keys
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
    assert check_address(address, None) == bound


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.168.1.7", "[::]", "eth0", "example.org", "10.0.0.1"])
def test_any_other_address_is_refused_without_keys(host):
    with pytest.raises(TurboPortraitError) as error:
        check_address(f"tcp://{host}:5555", None)
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
        check_address(address, None)
    assert error.value.code == "bad_address"


def test_an_address_in_use_is_refused(serve):
    server = serve(Pipeline(little_catalog(), device="cpu"))
    with pytest.raises(TurboPortraitError) as error:
        Server(Pipeline(little_catalog(), device="cpu"), server.endpoint)
    assert error.value.code == "bad_address"


def test_a_socket_file_serves_too(serve, connect, tmp_path):
    server = serve(Pipeline(little_catalog(), device="cpu"), address=f"ipc://{tmp_path}/b.sock")
    assert connect(server.endpoint).status().clients == 1


def test_with_keys_only_clients_with_keys_come_in(serve, connect, tmp_path):
    make_keys(tmp_path / "keys")
    make_keys(tmp_path / "others")
    server = serve(Pipeline(little_catalog(), device="cpu"), address="tcp://127.0.0.1:*", keys_folder=tmp_path / "keys")
    keys = Keys.for_client(tmp_path / "keys")
    assert connect(server.endpoint, keys).status().clients == 1
    stranger = Keys.for_client(tmp_path / "others")
    with pytest.raises(TurboPortraitError) as error:
        connect(server.endpoint, Keys(stranger.public, stranger.secret, keys.server))
    assert error.value.code == "backend_unreachable"
    with pytest.raises(TurboPortraitError) as error:
        connect(server.endpoint)
    assert error.value.code == "backend_unreachable"


def test_keys_are_private_and_never_overwritten(tmp_path):
    make_keys(tmp_path / "keys")
    assert (tmp_path / "keys" / "server.key_secret").stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        make_keys(tmp_path / "keys")


def test_a_folder_without_keys_says_so(tmp_path):
    with pytest.raises(TurboPortraitError) as error:
        Keys.for_server(tmp_path)
    assert error.value.code == "insecure_address"
