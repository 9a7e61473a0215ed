"""Neighbours that would have all of the backend for themselves: who sends, waits or takes without end."""

import socket
import sys
from urllib.parse import urlsplit

import numpy as np
import pytest
import zmq
from little_head import PORTRAIT, little_catalog, photo
from zmq.utils.monitor import recv_monitor_message

from backend.pipeline import Pipeline
from backend.protocol import decode_reply, encode, limits
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import ErrorReply, Heartbeat, Register, Render, Status, View

REST = HeadParameters()


@pytest.fixture
def server(serve):
    return serve(Pipeline(little_catalog(), device="cpu"))


@pytest.fixture
def raw_client():
    """raw_client(endpoint, option=value...) -> a DEALER socket with the user's keys."""
    opened = []

    def make(endpoint, **options):
        client = zmq.Context.instance().socket(zmq.DEALER)
        opened.append(client)
        client.linger = 0
        for name, value in options.items():
            setattr(client, name, value)
        endpoint.keys.apply_to_client(client)
        client.connect(endpoint.address)
        return client

    yield make
    for client in opened:
        client.close()


def error_of(client):
    while True:
        assert client.poll(20_000), "no answer"
        reply = decode_reply(client.recv_multipart())
        if not isinstance(reply, Heartbeat):
            assert isinstance(reply, ErrorReply)
            return reply.code


def test_idle_connections_keep_nobody_out(server, connect, monkeypatch):
    monkeypatch.setattr(limits, "MAX_NEWCOMERS", 64)
    address = urlsplit(server.endpoint.address)
    idle = [socket.create_connection((address.hostname, address.port)) for _ in range(3 * limits.MAX_NEWCOMERS)]
    assert connect(server.endpoint).status().clients == 1
    idle[0].settimeout(20)
    while idle[0].recv(100):  # ZeroMQ's greeting, and then the end.
        pass
    for each in idle:
        each.close()


def test_who_says_nothing_is_sent_away(server, monkeypatch):
    monkeypatch.setattr(limits, "NEWCOMER_SECONDS", 0.2)
    address = urlsplit(server.endpoint.address)
    with socket.create_connection((address.hostname, address.port), 20) as silent:
        while silent.recv(100):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much a connection has sent")
def test_a_message_of_endless_parts_is_cut_off(server, connect, raw_client, monkeypatch):
    """ZeroMQ sends a message when it has all of its parts: 400 MiB of the same one, so many that they take a while."""
    monkeypatch.setattr(limits, "MAX_UNTAKEN_BYTES", 16 * limits.MIB)
    monkeypatch.setattr(limits, "HEARTBEAT_SECONDS", 0.02)
    client = raw_client(server.endpoint)
    monitor = client.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    client.send_multipart(encode(Status(id=1)))
    assert client.poll(20_000)
    # The beat after the next is the first of the shorter ones.
    while not isinstance(decode_reply(client.recv_multipart()), Heartbeat):
        assert client.poll(20_000), "no heartbeat"
    client.send_multipart([bytes(limits.MIB)] * 400, copy=False)
    assert monitor.poll(20_000)
    assert recv_monitor_message(monitor)["event"] == zmq.EVENT_DISCONNECTED
    client.disable_monitor()
    monitor.close()
    assert connect(server.endpoint).status().clients >= 1


def test_the_parts_of_a_message_count_together(server, raw_client, monkeypatch):
    monkeypatch.setattr(limits, "MAX_REQUEST_BYTES", limits.MIB)
    client = raw_client(server.endpoint)
    client.send_multipart([*encode(Status(id=1)), *[bytes(limits.MIB // 8)] * 8])
    assert error_of(client) == "message_too_large"


def test_photographs_of_all_clients_count_together(server, connect, monkeypatch):
    monkeypatch.setattr(limits, "MAX_QUEUED_BYTES_OF_ALL", 2000)
    clients = [connect(server.endpoint) for _ in range(3)]
    handles = [
        client.submit(Register, photo=np.zeros(900, np.uint8), maker="little") for client in clients for _ in range(20)
    ]
    # The worker may take some away at once, but two of the 54 kB fit.
    while not all(handle.finished for handle in handles):
        for client in clients:
            client.poll(0.05)
    assert {handle.error.code for handle in handles} == {"not_an_image", "too_many_requests"}


def test_clients_that_take_in_nothing_are_owed_little(server, connect, raw_client, monkeypatch):
    reply = 4 * 1024 * 512
    monkeypatch.setattr(limits, "MAX_OWED_BYTES", 4 * reply)
    monkeypatch.setattr(limits, "MAX_OWED_BYTES_TO_ALL", 6 * reply)
    other = connect(server.endpoint)
    avatar = other.register(photo(), "little").avatar
    camera = PORTRAIT.__class__(K=PORTRAIT.K, world_to_camera=PORTRAIT.world_to_camera, width=1024, height=512)
    views = (View("a", camera),)
    for _ in range(3):
        greedy = raw_client(server.endpoint, rcvhwm=1, rcvbuf=10_000)
        for number in range(1, 31):
            render = Render(id=number, avatar=avatar, parameters=REST, views=views, refined=False, priority="batch")
            greedy.send_multipart(encode(render))
    while len(server._held_back) < 3:
        other.render(avatar, REST, views, refined=False)
    assert server._owed <= 6 * reply + 3 * 2 * reply
    assert other.render(avatar, REST, views, refined=False).raw
