"""A real server is sent all kinds of bytes, answers with an error where it can, and lives on."""

import struct
import threading

import msgspec
import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from little_head import PORTRAIT, little_catalog, photo

from backend.client import Endpoint
from backend.pipeline import Pipeline
from backend.protocol import VERSION, decode_reply, encode, limits
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import Done, ErrorReply, Heartbeat, Hello, HelloReply, Register, Render, Status, View
from backend.server import Server

PRELUDE = struct.pack("<4sH", b"TP3D", VERSION)
REST = HeadParameters()


class Stranger:
    """A raw socket to the server."""

    def __init__(self, endpoint: Endpoint, **options: int) -> None:
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        for name, value in options.items():
            setattr(self.socket, name, value)
        endpoint.keys.apply_to_client(self.socket)
        self.socket.connect(endpoint.address)

    def ask(self, frames):
        self.socket.send_multipart(frames)
        return self.answer()

    def answer(self):
        while True:
            assert self.socket.poll(20_000), "no answer"
            reply = decode_reply(self.socket.recv_multipart())
            if not isinstance(reply, Heartbeat):
                return reply


@pytest.fixture
def stranger(serve):
    stranger = Stranger(serve(Pipeline(little_catalog(), device="cpu")).endpoint)
    yield stranger
    stranger.socket.close()


def header(**fields):
    return msgspec.msgpack.encode(fields)


def lives(stranger):
    assert isinstance(stranger.ask(encode(Hello(id=77))), HelloReply)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([b""], "malformed_message", id="an empty frame"),
        pytest.param([b"GET / HTTP/1.1\r\n\r\n"], "malformed_message", id="another protocol"),
        pytest.param([PRELUDE], "malformed_message", id="no header"),
        pytest.param([PRELUDE, b""], "malformed_message", id="an empty header"),
        pytest.param([PRELUDE, b"\xc1" * 50], "malformed_message", id="no msgpack"),
        pytest.param([PRELUDE, b"\x91" * 100_000], "malformed_message", id="nested deeply"),
        pytest.param([PRELUDE, header(type="dance", id=5)], "malformed_message", id="an unknown type"),
        pytest.param([PRELUDE, header(type="status", id=5, more=1)], "malformed_message", id="an unknown field"),
        pytest.param([PRELUDE, header(type="status", id="5")], "malformed_message", id="an id that is no number"),
        pytest.param([PRELUDE, header(type="status", id=5), b"x"], "malformed_message", id="a frame too many"),
        pytest.param([PRELUDE, header(type="status", id=5)] + [b""] * 100, "message_too_large", id="100 frames"),
        pytest.param([PRELUDE, bytes(limits.MAX_HEADER_BYTES + 1)], "message_too_large", id="a header too large"),
        pytest.param(
            [struct.pack("<4sH", b"TP3D", VERSION + 1), b"whatever they say then"], "protocol_version", id="version"
        ),
    ],
)
def test_messages_that_are_none(stranger, frames, code):
    reply = stranger.ask(frames)
    assert isinstance(reply, ErrorReply)
    assert reply.code == code
    assert reply.sentence
    assert reply.hint
    lives(stranger)


@pytest.mark.parametrize(
    ("array", "data"),
    [
        ({"frame": 2, "dtype": "uint8", "shape": [5]}, [b"1234"]),
        ({"frame": 2, "dtype": "uint8", "shape": [-4]}, [b"1234"]),
        ({"frame": 2, "dtype": "uint8", "shape": [2**40, 2**40]}, [b"1234"]),
        ({"frame": 2, "dtype": "uint8", "shape": [2**62, 4, 0, 2]}, [b"1234"]),
        ({"frame": 2, "dtype": "uint8", "shape": [2, 2]}, [b"1234"]),
        ({"frame": 2, "dtype": "uint8", "shape": [1, 1, 1, 1, 4]}, [b"1234"]),
        ({"frame": 2, "dtype": "float32", "shape": [1]}, [b"1234"]),
        ({"frame": 2, "dtype": "object", "shape": [4]}, [b"1234"]),
        ({"frame": 2, "dtype": "uint8", "shape": [4], "order": "F"}, [b"1234"]),
        ({"frame": 3, "dtype": "uint8", "shape": [4]}, [b"1234"]),
        ({"frame": 1, "dtype": "uint8", "shape": [4]}, [b"1234"]),
        ({"frame": -1, "dtype": "uint8", "shape": [4]}, [b"1234"]),
        ({"frame": 2, "dtype": "uint8", "shape": [4]}, [b"1234", b"5678"]),
        ({"frame": 2, "dtype": "uint8", "shape": [4]}, []),
        ([1, 2, 3], [b"1234"]),
        ("uint8", [b"1234"]),
    ],
)
def test_arrays_that_are_not_what_they_say(stranger, array, data):
    reply = stranger.ask([PRELUDE, header(type="register", id=9, photo=array), *data])
    assert isinstance(reply, ErrorReply)
    assert (reply.code, reply.id) == ("malformed_message", 9)
    lives(stranger)


def camera(**changes):
    fields = {"K": PORTRAIT.K, "world_to_camera": PORTRAIT.world_to_camera, "width": 64, "height": 64}
    return Camera(**{**fields, **changes})


def view(**changes):
    return {"views": (View("a", camera(**changes)),)}


def with_number(values, index, number):
    return tuple(number if i == index else value for i, value in enumerate(values))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"parameters": HeadParameters(pose=(float("nan"),) * 15)}, "bad_parameters"),
        ({"parameters": HeadParameters(pose=(100.0,) * 15)}, "bad_parameters"),
        ({"parameters": HeadParameters(pose=(0.0,) * 12)}, "bad_parameters"),
        ({"parameters": HeadParameters(expression=(float("inf"),))}, "bad_parameters"),
        ({"parameters": HeadParameters(expression=(1e6,))}, "bad_parameters"),
        ({"parameters": HeadParameters(expression=(0.0,) * (limits.MAX_EXPRESSION + 1))}, "bad_parameters"),
        ({"parameters": HeadParameters(translation=(0.0, 1e9, 0.0))}, "bad_parameters"),
        (view(model="fisheye"), "unsupported_lens"),
        (view(width=0), "bad_camera"),
        (view(height=-5), "bad_camera"),
        (view(width=limits.MAX_IMAGE_SIDE + 1), "bad_camera"),
        (view(width=2**62), "bad_camera"),
        (view(K=(1.0,) * 8), "bad_camera"),
        (view(K=with_number(PORTRAIT.K, 0, float("nan"))), "bad_camera"),
        (view(K=with_number(PORTRAIT.K, 0, 0.0)), "bad_camera"),
        (view(K=with_number(PORTRAIT.K, 4, -500.0)), "bad_camera"),
        (view(K=with_number(PORTRAIT.K, 6, 0.1)), "bad_camera"),
        (view(world_to_camera=(0.0,) * 16), "bad_camera"),
        (view(world_to_camera=with_number(PORTRAIT.world_to_camera, 3, float("inf"))), "bad_camera"),
        (view(world_to_camera=with_number(PORTRAIT.world_to_camera, 3, 1e8)), "bad_camera"),
        (view(world_to_camera=with_number(PORTRAIT.world_to_camera, 0, -1.0)), "bad_camera"),
        ({"views": (View("a", PORTRAIT), View("a", PORTRAIT))}, "malformed_message"),
        ({"views": ()}, "malformed_message"),
        ({"views": tuple(View(str(n), PORTRAIT) for n in range(limits.MAX_VIEWS + 1))}, "malformed_message"),
        ({"views": (View("k" * (limits.MAX_KEY_LENGTH + 1), PORTRAIT),)}, "malformed_message"),
        ({"views": tuple(View(str(n), camera(width=8192, height=8192)) for n in range(2))}, "message_too_large"),
        ({"noise_level": float("nan"), **view()}, "malformed_message"),
        ({"noise_level": 1.5, **view()}, "malformed_message"),
        ({"avatar": "a" * (limits.MAX_KEY_LENGTH + 1), **view()}, "malformed_message"),
    ],
)
def test_numbers_that_cannot_be_rendered(stranger, fields, code):
    reply = stranger.ask(encode(Render(**{"id": 4, "avatar": "x", "parameters": REST, **view(), **fields})))
    assert isinstance(reply, ErrorReply)
    assert (reply.code, reply.id) == (code, 4)
    lives(stranger)


def test_a_photograph_beyond_the_limit_is_refused_with_an_answer(stranger):
    reply = stranger.ask(encode(Register(id=3, photo=np.zeros(limits.MAX_PHOTO_BYTES + 1, np.uint8))))
    assert (reply.code, reply.id) == ("message_too_large", 3)
    lives(stranger)


def test_a_frame_beyond_all_limits_ends_the_connection_not_the_server(serve, connect):
    server = serve(Pipeline(little_catalog(), device="cpu"))
    hostile = Stranger(server.endpoint)
    lives(hostile)
    hostile.socket.send_multipart([PRELUDE, bytes(limits.MAX_REQUEST_FRAME_BYTES + 1)])
    assert connect(server.endpoint).status().pid
    hostile.socket.close()


def test_more_clients_than_the_limit_are_refused(serve, connect, monkeypatch):
    monkeypatch.setattr(limits, "MAX_CLIENTS", 2)
    server = serve(Pipeline(little_catalog(), device="cpu"))
    clients = [connect(server.endpoint) for _ in range(2)]
    third = Stranger(server.endpoint)
    assert third.ask(encode(Status(id=1))).code == "too_many_requests"
    assert clients[0].status().clients == 2
    third.socket.close()


def test_a_client_that_takes_in_nothing_holds_up_nobody_and_loses_nothing(serve, connect, monkeypatch):
    monkeypatch.setattr(limits, "MAX_OWED_BYTES", 8 * limits.MIB)
    server = serve(Pipeline(little_catalog(), device="cpu"))
    held_back, let_go = threading.Event(), threading.Event()
    pause = server._scheduler.pause

    def watched(client, paused):
        if paused:
            held_back.set()
        else:
            held_back.clear()
            let_go.set()
        pause(client, paused)

    monkeypatch.setattr(server._scheduler, "pause", watched)
    other = connect(server.endpoint)
    avatar = other.register(photo(), "little").avatar
    slow = Stranger(server.endpoint, rcvhwm=1, rcvbuf=10_000)
    big = (View("a", camera(width=1024, height=512)),)
    count = 24
    for number in range(1, count + 1):
        slow.socket.send_multipart(
            encode(Render(id=number, avatar=avatar, parameters=REST, views=big, refined=False, priority="batch"))
        )
    assert held_back.wait(60)
    assert other.render(avatar, REST, big, refined=False).raw
    # While the system's own buffers grow it may be let go for a moment.
    assert held_back.wait(60)
    done = []
    while len(done) < count:
        reply = slow.answer()
        assert not isinstance(reply, ErrorReply)
        if isinstance(reply, Done):
            done.append(reply.id)
    assert done == list(range(1, count + 1))
    assert let_go.is_set()
    slow.socket.close()


VALID = [
    encode(Hello(id=1, client="fuzz")),
    encode(Register(id=2, photo=np.frombuffer(photo(), np.uint8), maker="little")),
    encode(Render(id=3, avatar="x", parameters=REST, views=(View("a", PORTRAIT),))),
]


@st.composite
def mutated(draw):
    frames = [bytearray(frame) for frame in draw(st.sampled_from(VALID))]
    for _ in range(draw(st.integers(1, 4))):
        frame = frames[draw(st.integers(0, len(frames) - 1))]
        at = draw(st.integers(0, len(frame)))
        match draw(st.sampled_from(["flip", "cut", "insert", "drop", "double"])):
            case "flip" if at < len(frame):
                frame[at] ^= draw(st.integers(1, 255))
            case "cut":
                del frame[at:]
            case "insert":
                frame[at:at] = draw(st.binary(max_size=20))
            case "drop" if len(frames) > 1:
                frames.remove(frame)
            case "double":
                frames.append(bytearray(frame))
    return [bytes(frame) for frame in frames]


@pytest.fixture(scope="module")
def module_server():
    server = Server(Pipeline(little_catalog(), device="cpu"))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server
    server.stop()
    thread.join()
    server.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(mutated(), st.lists(st.binary(max_size=200), min_size=1, max_size=5)))
def test_mutated_messages_never_stop_the_server(module_server, frames):
    stranger = Stranger(module_server.endpoint)
    stranger.socket.send_multipart(frames)
    stranger.socket.send_multipart(encode(Status(id=4242)))
    while getattr(stranger.answer(), "id", None) != 4242:
        pass
    stranger.socket.close()
