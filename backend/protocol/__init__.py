"""The messages between a host (Blender, the command line) and the render backend; stands apart from the sockets.

A message on the wire is a multipart ZeroMQ message: a prelude (protocol name and version), a header (msgpack, typed by
`messages`), then one frame of raw bytes for every array in it (see `codec`). Never imports torch.
"""

from backend.protocol.camera import Camera
from backend.protocol.codec import VERSION, decode_reply, decode_request, encode
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import JOINTS, HeadParameters
from backend.protocol.rigged_mesh import RiggedMesh

__all__ = [
    "JOINTS",
    "VERSION",
    "Camera",
    "HeadParameters",
    "RiggedMesh",
    "TurboPortraitError",
    "decode_reply",
    "decode_request",
    "encode",
]
