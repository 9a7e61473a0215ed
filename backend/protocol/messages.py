"""Every message of the protocol. Arrays travel as frames of their own (see `codec`); all else in the header.

A request has an id that its client chose; every reply to it carries that id. Replies to one request come in parts, in
this order: `Accepted`, any number of `Progress`, the results, and at the end `Done` or `ErrorReply`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from backend.protocol import limits
from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.rigged_mesh import RiggedMesh

Id = Annotated[int, Meta(ge=0, le=2**53)]
Name = Annotated[str, Meta(max_length=limits.MAX_KEY_LENGTH)]


class Message(Struct, frozen=True, kw_only=True, eq=False, forbid_unknown_fields=True, tag_field="type", tag=str.lower):
    """Base of all messages; the class's name in lower case is its type on the wire."""


class Heartbeat(Message, frozen=True):
    """Both ways, every `limits.HEARTBEAT_SECONDS`; the backend's carry the session that `HelloReply` told."""

    session: Name = ""


# Requests


class Hello(Message, frozen=True):
    """The first message of a client. Answered by `HelloReply`."""

    id: Id
    client: Name = ""


class Register(Message, frozen=True):
    """Make an avatar from a portrait. Answered by `Registered`.

    Attributes:
        photo: (N,) uint8, the bytes of an image file.
        texture: (H, W, 4) uint8 sRGB, straight alpha, top row first: what the avatar's mesh shows in place of what the
            backend would make of the photo, such as the texture that another backend made, or that was painted on.
        face: of several faces, counted from 1 at the left; 0 for the largest.
    """

    id: Id
    photo: np.ndarray
    maker: Name = "bust"
    head_model: Name = "open_head"
    texture: np.ndarray | None = None
    face: Annotated[int, Meta(ge=0, le=limits.MAX_FACES)] = 0

    def __post_init__(self) -> None:
        _expect(self.photo, "photo", np.uint8, (None,))
        if self.texture is not None:
            _expect(self.texture, "texture", np.uint8, (None, None, 4))


class View(Struct, frozen=True, forbid_unknown_fields=True):
    """One camera of a render request; the key names the picture for its client (latest wins per key)."""

    key: Name
    camera: Camera


class Render(Message, frozen=True):
    """Render one pose of an avatar by one or more cameras. Answered by `RawViews`, `RefinedViews` or both.

    Attributes:
        avatar: the id that `Registered` told.
        views: the cameras; their keys differ.
        raw, refined: which of the two to send.
        depth: send depth with the pixels.
        preset, noise_level: the refiner, and its r (paper section 3.2; 0.1 in use).
        joint: refine all views together, so that they agree; else each for itself.
        priority: "live": what a newer live request for the same key makes stale is never computed.
            "batch": never dropped.
    """

    id: Id
    avatar: Name
    parameters: HeadParameters
    views: Annotated[tuple[View, ...], Meta(min_length=1, max_length=limits.MAX_VIEWS)]
    raw: bool = True
    refined: bool = True
    depth: bool = False
    preset: Name = "compact"
    noise_level: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.1
    joint: bool = True
    priority: Literal["live", "batch"] = "live"


class GetMesh(Message, frozen=True):
    """The avatar as a rigged mesh. Answered by `MeshReply`."""

    id: Id
    avatar: Name


class Cancel(Message, frozen=True):
    """Stop the request `target` of the same client: it ends with the error `cancelled` unless it was done already."""

    id: Id
    target: Id


class Forget(Message, frozen=True):
    """Drop an avatar from the backend's memory."""

    id: Id
    avatar: Name


class Status(Message, frozen=True):
    """Answered by `StatusReply`."""

    id: Id


class Shutdown(Message, frozen=True):
    """End the backend."""

    id: Id


# Replies


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a backend offers: names of presets, makers and head models, the device, the largest view."""

    presets: tuple[str, ...]
    makers: tuple[str, ...]
    head_models: tuple[str, ...]
    device: str
    max_views: int = limits.MAX_VIEWS
    max_image_side: int = limits.MAX_IMAGE_SIDE
    max_photo_bytes: int = limits.MAX_PHOTO_BYTES


class HelloReply(Message, frozen=True):
    """`session` differs for every start of a backend."""

    id: Id
    protocol_version: int
    software_version: str
    session: str
    pid: int
    capabilities: Capabilities


class Accepted(Message, frozen=True):
    """The request waits its turn."""

    id: Id


class Progress(Message, frozen=True):
    """`fraction` in [0, 1] of the request is done; `stage` is a few words for the user."""

    id: Id
    fraction: float
    stage: str


class Notice(Struct, frozen=True):
    """A warning about a portrait: a stable code and a sentence."""

    code: str
    sentence: str


class Registered(Message, frozen=True):
    """An avatar is ready.

    Attributes:
        avatar: its id; the same portrait, maker, head model and texture give the same.
        camera, parameters: what tracking found: rendering with these gives the portrait again.
        betas: (B,) float32, the fitted identity of the head model.
        reference: (S, S, 4) uint8, the portrait as tracking cropped it, with its matte.
        maker, head_model, head_model_checksum: what it was made with.
        warnings: such as several faces in the photo.
    """

    id: Id
    avatar: str
    camera: Camera
    parameters: HeadParameters
    betas: np.ndarray
    reference: np.ndarray
    maker: str
    head_model: str
    head_model_checksum: str
    warnings: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        _expect(self.betas, "betas", np.float32, (None,))
        _expect(self.reference, "reference", np.uint8, (None, None, 4))


class ViewPixels(Struct, frozen=True, eq=False):
    """One rendered view.

    Attributes:
        key: as in the request.
        rgba: (H, W, 4) uint8 sRGB, straight alpha, top row first.
        depth: (H, W) float32, metres along the camera's z axis, inf where there is nothing; None if not asked for.
    """

    key: str
    rgba: np.ndarray
    depth: np.ndarray | None = None

    def __post_init__(self) -> None:
        _expect(self.rgba, "rgba", np.uint8, (None, None, 4))
        if self.depth is not None:
            _expect(self.depth, "depth", np.float32, self.rgba.shape[:2])


class RawViews(Message, frozen=True):
    """The avatar's own rendering of the views that are still wanted."""

    id: Id
    views: tuple[ViewPixels, ...]


class RefinedViews(Message, frozen=True):
    """The refined frames of the views that are still wanted."""

    id: Id
    views: tuple[ViewPixels, ...]


class MeshReply(Message, frozen=True):
    """The avatar as a mesh."""

    id: Id
    mesh: RiggedMesh


class StatusReply(Message, frozen=True):
    """How the backend is; memory in bytes, uptime in seconds; `running` is the stage at work, empty when idle."""

    id: Id
    uptime: float
    pid: int
    device: str
    clients: int
    queued: int
    running: str
    avatars: tuple[str, ...]
    avatar_bytes: int
    resident_bytes: int


class Done(Message, frozen=True):
    """The request is finished.

    Attributes:
        timings: of its stages, in seconds.
        superseded: keys of the views that a newer request took over.
        warnings: sentences on what is not as asked, such as views that could not be refined and are shown raw.
    """

    id: Id
    timings: dict[str, float] = {}
    superseded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class ErrorReply(Message, frozen=True):
    """The request is finished, and failed (see `errors`). Id 0: the message was not readable as a request."""

    id: Id
    code: str
    sentence: str
    hint: str


Request = Hello | Register | Render | GetMesh | Cancel | Forget | Status | Shutdown
Reply = (
    HelloReply
    | Accepted
    | Progress
    | Registered
    | RawViews
    | RefinedViews
    | MeshReply
    | StatusReply
    | Done
    | ErrorReply
)


def error_reply(request_id: int, error: TurboPortraitError) -> ErrorReply:
    """An error as the last reply to a request."""
    return ErrorReply(id=request_id, code=error.code, sentence=error.sentence, hint=error.hint)


def _expect(array: np.ndarray, name: str, dtype: type, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError (a validation error to msgspec) unless the array is of this type and shape; None is any."""
    fits = array.dtype == dtype and array.ndim == len(shape)
    if not (fits and all(want in (None, got) for want, got in zip(shape, array.shape, strict=True))):
        wanted = " x ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must be {np.dtype(dtype).name} of {wanted}, not {array.dtype} of {array.shape}")
