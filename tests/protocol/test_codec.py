"""Messages to frames and back, whatever is in them; and frames that are no messages."""

import dataclasses

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backend.protocol import RiggedMesh, TurboPortraitError, decode_reply, decode_request, encode, limits
from backend.protocol.camera import Camera
from backend.protocol.codec import request_id
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import (
    Capabilities,
    Done,
    ErrorReply,
    GetMesh,
    Heartbeat,
    Hello,
    HelloReply,
    MeshReply,
    Notice,
    Progress,
    RawViews,
    Register,
    Registered,
    Render,
    View,
    ViewPixels,
)

NAMES = st.text(max_size=limits.MAX_KEY_LENGTH)
IDS = st.integers(0, 2**53)
NUMBERS = st.floats(allow_nan=False, width=64)
CAMERAS = st.builds(
    Camera,
    K=st.tuples(*[NUMBERS] * 9),
    world_to_camera=st.tuples(*[NUMBERS] * 16),
    width=st.integers(-(2**63), 2**63 - 1),
    height=st.integers(1, 8192),
    model=NAMES,
)
HEADS = st.builds(
    HeadParameters,
    pose=st.tuples(*[NUMBERS] * 15),
    expression=st.lists(NUMBERS, max_size=60).map(tuple),
    translation=st.tuples(NUMBERS, NUMBERS, NUMBERS),
)
SIZES = st.tuples(st.integers(0, 6), st.integers(0, 6))
PIXELS = SIZES.flatmap(
    lambda size: st.builds(
        ViewPixels,
        key=NAMES,
        rgba=arrays.arrays(np.uint8, (*size, 4)),
        depth=st.none() | arrays.arrays(np.float32, size),
    )
)


def same(one, other) -> bool:
    """Equality through structs, dataclasses and arrays; NaN equals NaN."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, msgspec.Struct):
        return type(one) is type(other) and all(
            same(getattr(one, name), getattr(other, name)) for name in one.__struct_fields__
        )
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def over_the_wire(message):
    return [bytes(frame) for frame in encode(message)]


@given(
    st.builds(
        Render,
        id=IDS,
        avatar=NAMES,
        parameters=HEADS,
        views=st.lists(st.builds(View, key=NAMES, camera=CAMERAS), min_size=1, max_size=3).map(tuple),
        raw=st.booleans(),
        refined=st.booleans(),
        depth=st.booleans(),
        preset=NAMES,
        noise_level=st.floats(0, 1),
        joint=st.booleans(),
        priority=st.sampled_from(["live", "batch"]),
    )
)
def test_render_requests_come_through(message):
    assert same(message, decode_request(over_the_wire(message)))


@given(
    st.builds(
        Register,
        id=IDS,
        photo=arrays.arrays(np.uint8, st.integers(0, 300)),
        maker=NAMES,
        head_model=NAMES,
        texture=st.none() | SIZES.flatmap(lambda size: arrays.arrays(np.uint8, (*size, 4))),
    )
)
def test_photographs_come_through(message):
    assert same(message, decode_request(over_the_wire(message)))


@given(st.builds(RawViews, id=IDS, views=st.lists(PIXELS, max_size=4).map(tuple)))
def test_views_come_through(message):
    assert same(message, decode_reply(over_the_wire(message)))


@given(st.data())
def test_meshes_come_through(data):
    dtypes = st.sampled_from([np.uint8, np.int32, np.float16, np.float32])
    fields = {}
    for number, field in enumerate(dataclasses.fields(RiggedMesh)):
        shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
        fields[field.name] = np.full(shape, number, data.draw(dtypes))
    fields["expression_names"] = tuple(data.draw(st.lists(NAMES, max_size=3)))
    message = MeshReply(id=1, mesh=RiggedMesh(**fields))
    assert same(message, decode_reply(over_the_wire(message)))


@pytest.mark.parametrize(
    "message",
    [
        Heartbeat(session="abc"),
        HelloReply(
            id=1,
            protocol_version=1,
            software_version="0",
            session="s",
            pid=1,
            capabilities=Capabilities(presets=("a",), makers=(), head_models=(), device="cpu"),
        ),
        Progress(id=1, fraction=0.5, stage="rendering"),
        Done(id=1, timings={"raw": 0.1}, superseded=("a",)),
        ErrorReply(id=1, code="internal", sentence="s", hint="h"),
        Registered(
            id=1,
            avatar="a",
            camera=Camera((0.0,) * 9, (0.0,) * 16, 1, 1),
            parameters=HeadParameters(),
            betas=np.ones(3, np.float32),
            reference=np.zeros((2, 2, 4), np.uint8),
            maker="m",
            head_model="h",
            head_model_checksum="c",
            warnings=(Notice("several_faces", "Two."),),
        ),
    ],
    ids=lambda message: type(message).__name__,
)
def test_other_replies_come_through(message):
    assert same(message, decode_reply(over_the_wire(message)))


def test_arrays_are_not_copied_on_either_side():
    photo = np.arange(1000, dtype=np.uint8)
    frames = encode(Register(id=1, photo=photo))
    assert np.shares_memory(np.frombuffer(frames[2], np.uint8), photo)
    received = decode_request(frames).photo
    assert np.shares_memory(received, photo)
    assert not received.flags.writeable


def test_arrays_that_are_not_contiguous_are_sent_right():
    rgba = np.arange(6 * 8 * 4, dtype=np.uint8).reshape(6, 8, 4)[::2, ::-1]
    [view] = decode_reply(over_the_wire(RawViews(id=1, views=(ViewPixels("a", rgba),)))).views
    assert np.array_equal(view.rgba, rgba)


def test_only_carried_types_are_sent():
    mesh = RiggedMesh(*[np.zeros(1, np.float64)] * len(dataclasses.fields(RiggedMesh)))
    with pytest.raises(TypeError, match="float64"):
        encode(MeshReply(id=1, mesh=mesh))


@given(st.lists(st.binary(max_size=100), max_size=6))
def test_any_frames_are_a_message_or_an_error_with_a_code(frames):
    for decode in (decode_request, decode_reply):
        with pytest.raises(TurboPortraitError) as error:
            decode(frames)
        assert error.value.code in ("malformed_message", "protocol_version", "message_too_large")


@given(st.data())
def test_any_header_after_a_right_prelude_is_a_message_or_an_error(data):
    prelude = encode(Hello(id=1))[0]
    tree = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    )
    header = data.draw(
        st.dictionaries(
            st.sampled_from(["type", "id", "photo", "views", "avatar", "parameters", "frame", "dtype", "shape"]), tree
        )
    )
    header["type"] = data.draw(st.sampled_from(["register", "render", "hello", "status", "cancel", "x"]))
    frames = [prelude, msgspec.msgpack.encode(header), *data.draw(st.lists(st.binary(max_size=8), max_size=2))]
    try:
        decode_request(frames)
    except TurboPortraitError as error:
        assert error.code == "malformed_message"  # noqa: PT017
    assert isinstance(request_id(frames), int)


def test_a_peer_of_another_version_is_told_apart_whatever_it_says():
    prelude, header = encode(GetMesh(id=1, avatar="a"))
    newer = prelude[:4] + (99).to_bytes(2, "little")
    with pytest.raises(TurboPortraitError) as error:
        decode_request([newer, b"\xc1 what they will say"])
    assert error.value.code == "protocol_version"
    assert "99" in error.value.sentence
    assert decode_request([prelude, header]).avatar == "a"


def test_the_id_is_found_in_a_message_that_is_wrong_otherwise():
    prelude = encode(Hello(id=1))[0]
    assert request_id([prelude, msgspec.msgpack.encode({"id": 8, "type": "?", "x": [1]})]) == 8
    assert request_id([prelude, msgspec.msgpack.encode({"id": -8})]) == 0
    assert request_id([prelude, b"\xff\xff"]) == 0
    assert request_id([prelude]) == 0
    assert request_id([]) == 0
