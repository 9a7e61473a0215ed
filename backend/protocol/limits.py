"""Limits that both sides hold to; part of the protocol."""

MIB = 1 << 20

MAX_HEADER_BYTES = 1 * MIB
"""The msgpack header of one message."""
MAX_FRAMES = 64
"""Prelude, header and arrays of one message."""
MAX_ARRAY_DIMENSIONS = 4

MAX_PHOTO_BYTES = 64 * MIB
"""The file of a portrait."""
MAX_REQUEST_FRAME_BYTES = 2 * MAX_PHOTO_BYTES
"""A request's frame above this ends the connection before its bytes are read (ZMQ_MAXMSGSIZE)."""
MAX_REQUEST_BYTES = MAX_REQUEST_FRAME_BYTES
"""All frames of one request together."""
MAX_UNTAKEN_BYTES = 4 * MAX_PHOTO_BYTES
"""What a client has sent and the backend not taken in yet, parts of an unfinished message included; more ends the
connection."""
MAX_REPLY_FRAME_BYTES = 1024 * MIB

MAX_TEXTURE_SIDE = 4096
"""Texels along one side of a texture that is sent with a portrait; at least 2."""
MAX_VIEWS = 16
"""Views in one render request."""
MAX_IMAGE_SIDE = 8192
"""Pixels along one side of a view."""
MAX_REQUEST_PIXELS = 1 << 26
"""Pixels of all views of one request together: one view of 8192x8192, eight of 3840x2160."""
MAX_KEY_LENGTH = 256
"""Characters of a view's key, of a name, of an avatar's id."""

MAX_FACES = 1000
"""The largest number of a face in a photo."""

MAX_EXPRESSION = 1024
"""Expression coefficients."""
MAX_EXPRESSION_COEFFICIENT = 20.0
"""FLAME's are within about 5 standard deviations, ARKit's within 0 to 1."""
MAX_JOINT_ANGLE = 6.2832
"""Radians of one joint's axis-angle: one full turn."""
MAX_TRANSLATION = 1000.0
"""Metres, of the head and of a camera from the head."""

MAX_FRAME = 1_048_574
"""Of a scene, and its negative: Blender's own limit."""
MAX_SPEED = 100.0
"""Of a retimed shot: frames of the scene from one picture to the next."""
MAX_SHOTS = 10_000
MAX_SHOT_FRAMES = 1_000_000
"""Frames of all shots of a batch together."""
MAX_HEADS = 1000
"""In one scene."""
MAX_SAMPLES = 64
"""Moments that motion blur is the mean of."""

MAX_PERFORMANCE_BYTES = 256 * MIB
"""The file of a performance or of a face-capture take: two hours at 60 frames per second."""
MAX_PERFORMANCE_SECONDS = 86_400.0
MAX_CLOCK_SECONDS = 1e11
"""Since 1970."""
MAX_PERFORMANCE_LINE = 1 << 16
"""Bytes of a frame's line."""
MAX_FRAME_RATE = 1000

MAX_CLIENTS = 64
MAX_CONNECTIONS = 512
MAX_NEWCOMERS = 256
"""Connections that have said nothing yet; where there are more, the oldest is ended."""
NEWCOMER_SECONDS = 5.0
"""A connection that says nothing for so long is ended."""
MAX_QUEUED_REQUESTS = 64
"""Requests of one client that wait at the same time."""
MAX_QUEUED_BYTES = 4 * MAX_PHOTO_BYTES
"""Bytes of photographs among them."""
MAX_QUEUED_BYTES_OF_ALL = 2 * MAX_QUEUED_BYTES
"""Bytes of photographs among the waiting requests of all clients."""
MAX_OWED_BYTES = 64 * MIB
"""Bytes of replies that a client has not taken in; beyond that nothing more is begun for it."""
MAX_OWED_BYTES_TO_ALL = 512 * MIB
"""The same for all clients together; beyond that nothing is begun for any that is owed something."""

HEARTBEAT_SECONDS = 1.0
LIVENESS_SECONDS = 15.0
"""A peer that is silent for this long is lost."""
