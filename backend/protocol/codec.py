"""Messages to frames and back.

Frames of one message:
    0   prelude: b"TP3D" and the protocol's version as 2 bytes, little-endian
    1   header: msgpack of one message of `messages`, in which an array is {frame, dtype, shape}
    2.. the arrays' bytes, C order, little-endian, each frame named by exactly one array of the header
The prelude stands apart so that peers of any two versions can tell each other that they differ.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from backend.protocol import limits
from backend.protocol.errors import TurboPortraitError
from backend.protocol.messages import Heartbeat, Message, Reply, Request

VERSION = 4
_MAGIC = b"TP3D"
_PRELUDE = struct.Struct("<4sH")
_DTYPES = {"uint8": "|u1", "int32": "<i4", "float16": "<f2", "float32": "<f4"}


class _ArrayHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    frame: int
    dtype: str
    shape: tuple[int, ...]


class _AnyRequest(msgspec.Struct):
    id: int = 0


def encode(message: Message) -> list[bytes | memoryview]:
    """A message as frames; arrays are not copied unless they must be made contiguous.

    Raises:
        TypeError: an array of a type that the protocol does not carry.
    """
    arrays: list[memoryview] = []

    def array_header(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"{type(value).__name__} cannot be sent")
        if value.dtype.name not in _DTYPES:
            raise TypeError(f"arrays of {value.dtype} cannot be sent, only {', '.join(_DTYPES)}")
        contiguous = np.ascontiguousarray(value, _DTYPES[value.dtype.name])
        # A view of bytes: memoryview cannot flatten an array that has no elements.
        arrays.append(contiguous.reshape(-1).view(np.uint8).data)
        return _ArrayHeader(len(arrays) + 1, value.dtype.name, value.shape)

    header = msgspec.msgpack.encode(message, enc_hook=array_header)
    return [_PRELUDE.pack(_MAGIC, VERSION), header, *arrays]


def decode_request(frames: Sequence[Any]) -> Request | Heartbeat:
    """Frames (bytes, memoryviews or zmq frames) as a request. Arrays are read-only views of the frames.

    Raises:
        TurboPortraitError: protocol_version, malformed_message or message_too_large.
    """
    if sum(_bytes_of(frame).nbytes for frame in frames) > limits.MAX_REQUEST_BYTES:
        raise TurboPortraitError("message_too_large")
    return _decode(frames, Request | Heartbeat)


def decode_reply(frames: Sequence[Any]) -> Reply | Heartbeat:
    """Frames as a reply; as `decode_request`."""
    return _decode(frames, Reply | Heartbeat)


def request_id(frames: Sequence[Any]) -> int:
    """The id of a message that may be malformed otherwise, 0 if it cannot be told."""
    try:
        found = msgspec.msgpack.decode(_bytes_of(frames[1]), type=_AnyRequest).id
    except (msgspec.MsgspecError, IndexError, TypeError, ValueError, RecursionError):
        return 0
    return found if 0 <= found <= 2**53 else 0


def _decode(frames: Sequence[Any], kind: Any) -> Any:
    buffers = [_bytes_of(frame) for frame in frames]
    _check_prelude(buffers)
    if len(buffers) < 2:
        raise TurboPortraitError("malformed_message", "it has no header")
    if len(buffers) > limits.MAX_FRAMES or buffers[1].nbytes > limits.MAX_HEADER_BYTES:
        raise TurboPortraitError("message_too_large")
    unused = set(range(2, len(buffers)))

    def array_of(type_: type, value: Any) -> np.ndarray:
        spec = msgspec.convert(value, _ArrayHeader)
        if spec.frame not in unused:
            raise ValueError(f"there is no frame {spec.frame}, or two arrays share it")
        unused.discard(spec.frame)
        return _array(buffers[spec.frame], spec)

    try:
        message = msgspec.msgpack.decode(buffers[1], type=kind, dec_hook=array_of)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TurboPortraitError("malformed_message", str(error)[:200]) from error
    if unused:
        raise TurboPortraitError("malformed_message", "it has frames that no array names")
    return message


def _check_prelude(buffers: list[memoryview]) -> None:
    if not buffers or buffers[0].nbytes != _PRELUDE.size or buffers[0][:4] != _MAGIC:
        raise TurboPortraitError("malformed_message", "it does not begin as a message of this protocol")
    version = _PRELUDE.unpack(buffers[0])[1]
    if version != VERSION:
        raise TurboPortraitError("protocol_version", f"theirs is {version}, ours is {VERSION}")


def _array(buffer: memoryview, spec: _ArrayHeader) -> np.ndarray:
    if spec.dtype not in _DTYPES:
        raise ValueError(f"arrays of {spec.dtype!r} are not carried")
    if len(spec.shape) > limits.MAX_ARRAY_DIMENSIONS or min(spec.shape, default=0) < 0:
        raise ValueError(f"{spec.shape} is no shape of an array")
    dtype = np.dtype(_DTYPES[spec.dtype])
    expected = math.prod(spec.shape) * dtype.itemsize
    if buffer.nbytes != expected:
        raise ValueError(f"an array of {spec.shape} {spec.dtype} has {expected} bytes, its frame has {buffer.nbytes}")
    array = np.frombuffer(buffer, dtype).reshape(spec.shape)
    array.flags.writeable = False
    return array


def _bytes_of(frame: Any) -> memoryview:
    return memoryview(getattr(frame, "buffer", frame))
