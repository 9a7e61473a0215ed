"""Poses of shots in one file: all that a render node needs of a .blend. `docs/batch.md` describes the layout.

An .npz without pickles: a JSON header, a table with one row per shot, frame, sample of the shutter's time and visible
head, and the portraits' bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from backend.protocol import limits
from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import npz_bytes, write_file
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.reading import read_bounded
from backend.protocol.shots import Shot
from flame.limits import MAX_FILE_BYTES
from flame.npz import load_npz

VERSION = 5
MAX_HEADER_BYTES = 16 << 20
PORTRAIT = "portrait_"
"""Before the SHA-256 of a portrait's bytes: the name of the array that holds them."""
TEXTURE = "texture_"
"""Before the SHA-256 of a texture's pixels: the name of the array (H, W, 4) uint8 that holds them."""

COLUMNS: dict[str, tuple[type, tuple[int | str, ...]]] = {
    "shot": (np.int32, ()),
    "frame": (np.int32, ()),
    "sample": (np.int32, ()),
    "head": (np.int32, ()),
    "exposure": (np.float64, ()),
    "K": (np.float64, ("views", 9)),
    "world_to_camera": (np.float64, ("views", 16)),
    "scale": (np.float64, ("views",)),
    "mirrored": (np.int32, ("views",)),
    "pose": (np.float32, (15,)),
    "translation": (np.float32, (3,)),
    "expression": (np.float32, ("expressions",)),
}
"""Column -> type, and shape of a row: the table is sorted by shot, frame, sample and head. A frame's picture is the
sum of its samples' in time, each times its `exposure`: one with 1 where nothing is blurred by motion. `views` are the
header's; `expression` is as wide as the longest basis among the heads; `scale` makes the view's depth the scene's; a
view is `mirrored` (1) where Blender's camera sees it with left and right exchanged."""


def row_shapes(views: int, expressions: int) -> dict[str, tuple[int, ...]]:
    """Column -> shape of a row, for so many views and the longest basis."""
    sizes = {"views": views, "expressions": expressions}
    return {
        name: tuple(sizes[side] if isinstance(side, str) else side for side in sides)
        for name, (_, sides) in COLUMNS.items()
    }


def empty_columns(rows: int, views: int, expressions: int) -> dict[str, np.ndarray]:
    """A table of zeros."""
    shapes = row_shapes(views, expressions)
    return {name: np.zeros((rows, *shapes[name]), kind) for name, (kind, _) in COLUMNS.items()}


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A head with a portrait: its object's name, how the avatar is made, of which photo, and the texture on it, empty
    for the one that is made of the photo."""

    name: str
    maker: str
    head_model: str
    portrait_sha256: str
    portrait_name: str
    expressions: int
    texture_sha256: str = ""
    face: Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_FACES)] = 0


class SceneView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the pictures that stereoscopy or multi-view makes of each frame: its name, and what its files' names end
    in before their extension. Both are empty without either."""

    name: str = ""
    suffix: str = ""


class PoseHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the table is about.

    Attributes:
        blend_sha256: of the .blend that was evaluated.
        fps: the scene's frame rate as a fraction.
        cameras: the names of all camera objects.
        heads: those that the rows' `head` counts.
        shots: those that the rows' `shot` counts, with the sizes that were rendered for.
        background: linear RGB behind the heads in movies; pictures keep their alpha.
        views: of each frame, in the order of the table's; they are refined together.
        problems: shot (or empty) and sentence of what could not be evaluated.
        notes: sentences on what was evaluated otherwise than Blender shows it.
    """

    blend_sha256: str
    fps: tuple[int, int]
    cameras: tuple[str, ...]
    heads: tuple[Head, ...]
    shots: tuple[Shot, ...]
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    views: tuple[SceneView, ...] = (SceneView(),)
    problems: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    format: str = "turboportrait poses"
    version: int = VERSION


@dataclass(frozen=True, eq=False)
class PoseFile:
    """A pose file's content.

    Attributes:
        header: what the table is about.
        columns: see `COLUMNS`; arrays of R rows.
        portraits: SHA-256 -> the photo's bytes.
        textures: SHA-256 -> (H, W, 4) uint8 sRGB.
    """

    header: PoseHeader
    columns: dict[str, np.ndarray]
    portraits: dict[str, bytes] = field(default_factory=dict)
    textures: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["shot"])

    def camera(self, row: int, view: int = 0) -> Camera:
        """The camera over head space of one of a row's views."""
        shot = self.header.shots[self.columns["shot"][row]]
        return Camera(
            tuple(self.columns["K"][row, view].tolist()),
            tuple(self.columns["world_to_camera"][row, view].tolist()),
            shot.width,
            shot.height,
        )

    def parameters(self, row: int) -> HeadParameters:
        """A row's head parameters."""
        head = self.header.heads[self.columns["head"][row]]
        return HeadParameters(
            tuple(self.columns["pose"][row].tolist()),
            tuple(self.columns["expression"][row, : head.expressions].tolist()),
            tuple(self.columns["translation"][row].tolist()),
        )

    def save(self, path: str | Path) -> None:
        """Write in one step: a reader sees the old file or the whole new one.

        Raises:
            TurboPortraitError: as `atomic_file`.
        """
        arrays = {"header": np.frombuffer(msgspec.json.encode(self.header), np.uint8)}
        for name, (kind, _) in COLUMNS.items():
            arrays[name] = np.ascontiguousarray(self.columns[name], kind)
        for digest, photo in self.portraits.items():
            arrays[PORTRAIT + digest] = np.frombuffer(photo, np.uint8)
        for digest, texture in self.textures.items():
            arrays[TEXTURE + digest] = np.ascontiguousarray(texture)
        write_file(path, npz_bytes(**arrays))

    @classmethod
    def load(cls, path: str | Path) -> PoseFile:
        """Read and check, also what version 4 wrote; sizes are checked before anything is unpacked.

        Raises:
            TurboPortraitError: bad_pose_file.
        """
        try:
            arrays = load_npz(read_bounded(path, MAX_FILE_BYTES))
            written = arrays.pop("header").tobytes()
            if len(written) > MAX_HEADER_BYTES:
                raise ValueError(f"its header has more than {MAX_HEADER_BYTES >> 20} MiB")
            header = msgspec.json.decode(written, type=PoseHeader)
            if header.version == 4:
                header = _from_version_4(header, arrays)
        except KeyError as error:
            raise TurboPortraitError("bad_pose_file", f"{Path(path).name}: it has no {error}") from error
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise TurboPortraitError("bad_pose_file", f"{Path(path).name}: {error}"[:300]) from error
        portraits = {
            name.removeprefix(PORTRAIT): arrays.pop(name).tobytes()
            for name in list(arrays)
            if name.startswith(PORTRAIT)
        }
        textures = {name.removeprefix(TEXTURE): arrays.pop(name) for name in list(arrays) if name.startswith(TEXTURE)}
        poses = cls(header, arrays, portraits, textures)
        if problem := poses._problem():
            raise TurboPortraitError("bad_pose_file", f"{Path(path).name}: {problem}")
        return poses

    def _problem(self) -> str:
        """What is wrong with the structure; the numbers themselves are checked frame by frame when they are used."""
        header, columns = self.header, self.columns
        if header.format != "turboportrait poses" or header.version != VERSION:
            return f"version {header.version} of {header.format[:40]!r}, this program reads versions 4 to {VERSION}"
        if problem := _header_problem(header):
            return problem
        if set(columns) != set(COLUMNS):
            return f"the columns are {', '.join(sorted(columns))[:200]}"
        rows = len(columns["shot"])
        widest = max((head.expressions for head in header.heads), default=0)
        shapes = row_shapes(len(header.views), widest)
        for name, (kind, _) in COLUMNS.items():
            shape = (rows, *shapes[name])
            if columns[name].shape != shape or columns[name].dtype != kind:
                return f"the column {name} is {columns[name].shape} {columns[name].dtype}, not {shape}"
        if rows:
            shot, frame, sample, head = (columns[name] for name in ("shot", "frame", "sample", "head"))
            if (np.lexsort((head, sample, frame, shot)) != np.arange(rows)).any():
                return "the rows are not sorted by shot, frame, sample and head"
            if sample.min() < 0 or sample.max() >= limits.MAX_SAMPLES:
                return f"a frame has samples beyond 0 to {limits.MAX_SAMPLES - 1}"
            if min(shot[0], head.min()) < 0 or shot[-1] >= len(header.shots) or head.max() >= len(header.heads):
                return "a row names a shot or a head that the header does not have"
        if not np.isin(columns["mirrored"], (0, 1)).all():
            return "a view is neither mirrored (1) nor not (0)"
        if not ((columns["exposure"] > 0) & (columns["exposure"] <= 1)).all():
            return "an exposure is not a share"
        if not (np.isfinite(columns["scale"]).all() and (columns["scale"] > 0).all()):
            return "a scale is not a positive number"
        for digest, photo in self.portraits.items():
            if len(photo) > limits.MAX_PHOTO_BYTES:
                return f"a portrait has more than {limits.MAX_PHOTO_BYTES >> 20} MiB"
            if hashlib.sha256(photo).hexdigest() != digest:
                return "a portrait's bytes do not have the hash that names them"
        for digest, texture in self.textures.items():
            sides = texture.shape[:2]
            if texture.ndim != 3 or texture.shape[2] != 4 or texture.dtype != np.uint8:
                return "a texture is not one of RGBA bytes"
            if min(sides) < 2 or max(sides) > limits.MAX_TEXTURE_SIDE:
                return f"a texture is {sides[1]} x {sides[0]}"
            if hashlib.sha256(np.ascontiguousarray(texture).data).hexdigest() != digest:
                return "a texture's pixels do not have the hash that names them"
        missing = {head.portrait_sha256 for head in header.heads} - set(self.portraits)
        missing |= {head.texture_sha256 for head in header.heads} - {"", *self.textures}
        return f"the portrait or texture of {len(missing)} heads is missing" if missing else ""


def _from_version_4(header: PoseHeader, arrays: dict[str, np.ndarray]) -> PoseHeader:
    """Give what had but one view the dimension of the views.

    Raises:
        KeyError, ValueError: a column is missing, or is none.
    """
    for name, (_, sides) in COLUMNS.items():
        if "views" in sides:
            arrays[name] = np.expand_dims(arrays[name], 1)
    return msgspec.structs.replace(header, version=VERSION)


def _header_problem(header: PoseHeader) -> str:
    """What is wrong with a header's numbers; empty if nothing is."""
    numerator, denominator = header.fps
    if denominator < 1 or not 1 <= numerator / denominator <= 1000:
        return f"the frame rate is {numerator}/{denominator}"
    if not all(0 <= channel < np.inf for channel in header.background):
        return "the background is no colour"
    if len(header.shots) > limits.MAX_SHOTS or len(header.heads) > limits.MAX_HEADS:
        return f"it has {len(header.shots)} shots and {len(header.heads)} heads"
    if not 1 <= len(header.views) <= limits.MAX_VIEWS:
        return f"it has {len(header.views)} views; 1 to {limits.MAX_VIEWS} are possible"
    if sum(shot.count for shot in header.shots) * len(header.views) > limits.MAX_SHOT_FRAMES:
        return f"its shots have more than {limits.MAX_SHOT_FRAMES:,} frames, each view's counted"
    for shot in header.shots:
        if max(abs(shot.first), abs(shot.last)) > limits.MAX_FRAME:
            return f"the shot {shot.name[:100]!r} has frames beyond ±{limits.MAX_FRAME:,}"
        if not 0 <= shot.speed <= limits.MAX_SPEED:
            return f"the shot {shot.name[:100]!r} has the speed {shot.speed:g}"
        if not 1 <= min(shot.width, shot.height) <= max(shot.width, shot.height) <= limits.MAX_IMAGE_SIDE:
            return f"the shot {shot.name[:100]!r} has {shot.width} x {shot.height} pixels"
    for head in header.heads:
        if not 0 <= head.expressions <= limits.MAX_EXPRESSION:
            return f"the head {head.name[:100]!r} has {head.expressions} expressions"
    return ""
