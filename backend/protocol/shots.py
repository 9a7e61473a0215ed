"""A shot, as Blender, the command line and a farm's nodes speak of it."""

from __future__ import annotations

import msgspec

DEFAULT_OUTPUT = "{shot}/{shot}.{frame:04d}.png"
RAW = "raw"
"""The quality that leaves the refiner out; any other names a refiner preset."""


class Shot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A range of a scene's frames seen by one camera.

    Attributes:
        name: unique in its list; names files and folders.
        first, last: frames of the scene, both included; of a retimed shot, its pictures' numbers, from the frame of the
            scene that is seen first.
        camera: the name of a camera object; empty for the scene's own at each frame (markers bound to cameras count).
        avatar: the name of the head object to be seen; empty for every visible head.
        portrait: path of a photo in place of the one in the .blend; empty to keep that.
        width, height: pixels; 0 for the scene's.
        quality: "raw", or a refiner preset; empty for the job's.
        speed: frames of the scene from one picture to the next; 0 for a freeze.
        output: pattern of the files below the output folder, with {shot}, {camera} and {frame} or {frame:04d}; ends in
            .png or .exr; empty for the job's.
        line: where the shot stands in its list's file; 0 where there are no lines.
    """

    name: str
    first: int
    last: int
    camera: str = ""
    avatar: str = ""
    portrait: str = ""
    width: int = 0
    height: int = 0
    quality: str = ""
    output: str = ""
    speed: float = 1.0
    line: int = 0

    def time(self, frame: int) -> float:
        """The scene's time that a picture shows, in frames of the scene."""
        return self.first + round((frame - self.first) * self.speed, 6)

    @property
    def count(self) -> int:
        """How many frames, also where they are more than `len` can tell."""
        return max(self.last - self.first + 1, 0)

    @property
    def frames(self) -> range:
        """The pictures' numbers: without a retime the scene's frames."""
        return range(self.first, self.last + 1)

    def sized(self, width: int, height: int) -> Shot:
        """The same shot with a size."""
        return msgspec.structs.replace(self, width=width, height=height)


class EvaluationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Blender shall do with a .blend.

    Attributes:
        blend: its path.
        output: the pose file to write; empty to only look: cameras, heads and markers are told then.
        shots: what to evaluate; None for the scene's markers.
        scene: its name; empty for the one that the .blend was saved in.
    """

    blend: str
    output: str = ""
    shots: tuple[Shot, ...] | None = None
    scene: str = ""


def decode_request(data: bytes) -> EvaluationRequest:
    """Raises msgspec.ValidationError (a ValueError)."""
    return msgspec.json.decode(data, type=EvaluationRequest)


def encode(thing: Shot | EvaluationRequest) -> bytes:
    """As JSON."""
    return msgspec.json.encode(thing)


def plain(shot: Shot) -> dict[str, object]:
    """As a dict that JSON can hold."""
    return msgspec.to_builtins(shot)
