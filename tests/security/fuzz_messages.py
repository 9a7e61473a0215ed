"""Hostile messages to a real server: mutations of valid ones, and bytes that are no message at all."""

from __future__ import annotations

import copy
import random
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import numpy as np
import zmq

sys.path.insert(0, str(Path(__file__).parents[1] / "pipeline"))

from little_head import PORTRAIT, little_catalog, photo

from backend.pipeline import Pipeline
from backend.protocol import decode_reply, encode
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import (
    Cancel,
    Done,
    ErrorReply,
    Forget,
    GetMesh,
    Heartbeat,
    Hello,
    Register,
    Render,
    Status,
    View,
)
from backend.server import Server

VALID = [
    encode(message)
    for message in (
        Heartbeat(),
        Hello(id=1, client="fuzz"),
        Register(id=2, photo=np.frombuffer(photo(), np.uint8), maker="little"),
        Render(id=3, avatar="x", parameters=HeadParameters(), views=(View("a", PORTRAIT), View("b", PORTRAIT))),
        GetMesh(id=4, avatar="x"),
        Cancel(id=5, target=3),
        Forget(id=6, avatar="x"),
    )
]
ODD = (
    *(None, True, 0, 1, -1, 2**31, 2**53 + 1, 2**63, -(2**63), 0.0, 1e-300, 1e300, float("nan"), float("inf")),
    *("", "x", "\0", "../..", "little", "compact", "k" * 300, "é" * 256, b"", bytes(100), [], [[]], {}, {"frame": 2}),
    *([0.0] * 15, [1e308] * 16, [float("nan")] * 9, [[]] * 1000, {"frame": 2, "dtype": "uint8", "shape": [2**40, 0]}),
)
"""Values that are put in the place of others."""
TOGETHER = 50
"""Messages that are sent before their answers are awaited."""
LAST = 2**40
"""The id of the request that says that all before it were handled."""
ANSWER_SECONDS = 60


def run(count: int, seed: int) -> dict[str, int]:
    """See the package. One in fifty is a connection that speaks no ZeroMQ, or cuts its greeting short."""
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    with _server() as server, closing(_connected(server)) as client:
        for begin in range(0, count, TOGETHER):
            for _ in range(min(TOGETHER, count - begin)):
                if chance.random() < 0.02:
                    _garbage(server, chance)
                    outcomes["no ZeroMQ"] += 1
                else:
                    client.send_multipart(_mutated(chance))
                    outcomes["unanswered"] += 1
            client.send_multipart(encode(Status(id=LAST)))
            for outcome in _answers(client, f"seed {seed}, message {begin}"):
                outcomes[outcome] += 1
                outcomes["unanswered"] -= 1
    return dict(outcomes)


@contextmanager
def _server() -> Iterator[Server]:
    server = Server(Pipeline(little_catalog(), device="cpu"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
        server.close()


def _connected(server: Server) -> zmq.Socket:
    client = zmq.Context.instance().socket(zmq.DEALER)
    client.linger = 0
    server.endpoint.keys.apply_to_client(client)
    client.connect(server.endpoint.address)
    return client


def _answers(client: zmq.Socket, where: str) -> Iterator[str]:
    """The outcome of each request until the last is done."""
    while True:
        assert client.poll(ANSWER_SECONDS * 1000), f"the server does not answer any more: {where}"
        match decode_reply(client.recv_multipart()):
            case Done(id=id_) if id_ == LAST:
                return
            case Done():
                yield "done"
            case ErrorReply(code="internal", sentence=sentence):
                raise AssertionError(f"{sentence}: {where}")
            case ErrorReply(code=code):
                yield code


def _mutated(chance: random.Random) -> list[bytes]:
    kind = chance.random()
    if kind < 0.1:
        return [chance.randbytes(chance.randrange(200)) for _ in range(chance.randint(1, 5))]
    frames = [bytearray(frame) for frame in chance.choice(VALID)]
    if kind < 0.6:
        fields = msgspec.msgpack.decode(frames[1])
        for _ in range(chance.randint(1, 3)):
            _spoil(fields, chance)
        return [bytes(frames[0]), msgspec.msgpack.encode(fields), *map(bytes, frames[2:])]
    for _ in range(chance.randint(1, 4)):
        frame = chance.choice(frames)
        at = chance.randrange(len(frame) + 1)
        match chance.choice(("flip", "cut", "insert", "drop", "double", "number")):
            case "flip" if at < len(frame):
                frame[at] ^= chance.randint(1, 255)
            case "cut":
                del frame[at:]
            case "insert":
                frame[at:at] = chance.randbytes(chance.randrange(20))
            case "drop" if len(frames) > 1:
                frames.remove(frame)
            case "double":
                frames.append(bytearray(frame))
            case "number":
                # What msgpack reads as the largest numbers, infinities, long strings and deep lists.
                mark = chance.choice((b"\xcf", b"\xd3", b"\xcb\x7f\xf0", b"\xcb\xff\xf8", b"\xdb", b"\xdd", b"\x91"))
                frame[at : at + 9] = mark + b"\xff" * (9 - len(mark))
    return [bytes(frame) for frame in frames]


def _spoil(fields: dict | list, chance: random.Random) -> None:
    """Put an odd value in the place of one, at any depth; the message can still be taken apart."""
    while fields:
        key = chance.choice(list(fields) if isinstance(fields, dict) else range(len(fields)))
        if key == "type":
            return
        if not isinstance(fields[key], (dict, list)) or chance.random() < 0.2:
            alike = [value for value in ODD if type(value) is type(fields[key])]
            fields[key] = copy.deepcopy(chance.choice(alike if alike and chance.random() < 0.8 else ODD))
            return
        fields = fields[key]


def _garbage(server: Server, chance: random.Random) -> None:
    address = urlsplit(server.endpoint.address)
    with socket.create_connection((address.hostname, address.port), ANSWER_SECONDS) as stranger:
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01" + chance.choice((b"NULL", b"CURVE", b"PLAIN")).ljust(20, b"\0")
        greeting = greeting.ljust(64, b"\0") + chance.randbytes(chance.randrange(200))
        sent = greeting[: chance.randrange(len(greeting))] if chance.random() < 0.7 else chance.randbytes(300)
        stranger.sendall(sent)
