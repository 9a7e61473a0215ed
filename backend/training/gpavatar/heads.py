"""Training heads: several views of a person, each with its camera and the head model's parameters.

They are the synthetic corpus' shards (`backend.people.shards`); of each these arrays are read:
truth (N, S, S, 4) uint8, straight alpha; cameras (N, 25), K and world_to_camera row by row, over head space;
betas (B,); expressions (N, E); and, where heads move, poses (N, 5, 3) and translations (N, 3). Tracked photographs of
real people can be written the same way.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.avatars.framing import HeadFraming
from backend.avatars.gpavatar.cameras import head_points
from backend.people.shards import is_held_out, seed_of, shards
from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from flame import HeadModel


@dataclass(frozen=True)
class HeadViews:
    """N views of one person.

    Attributes:
        images: (N, S, S, 4) uint8, straight alpha.
        cameras: N cameras of S x S pixels over the still head: the pose of global joint and neck is in them.
        points: (N, P, 3) float32, the head model's vertices in the network's box, with expression, jaw and eyes.
    """

    images: np.ndarray
    cameras: list[Camera]
    points: np.ndarray


def load_heads(folder: str | Path, model: HeadModel, scale: float, held_out: bool = False) -> list[HeadViews]:
    """All heads of a split, in memory.

    Args:
        folder: of the shards.
        model: the head model that their parameters are of.
        scale: metres to the network's box.

    Raises:
        TurboPortraitError: `bad_corpus`: there are none, or one is damaged or lacks the parameters.
    """
    paths = [path for path in shards(folder) if is_held_out(seed_of(path)) == held_out]
    if not paths:
        raise TurboPortraitError("bad_corpus", f"{folder} has no {'held-out' if held_out else 'training'} identities")
    return [read_head(path, model, scale) for path in paths]


def read_head(path: Path, model: HeadModel, scale: float) -> HeadViews:
    """One shard; see `load_heads`."""
    try:
        with np.load(path, allow_pickle=False) as shard:
            arrays = {name: shard[name] for name in _WANTED if name in shard.files}
        if missing := [name for name in ("truth", "cameras", "betas", "expressions") if name not in arrays]:
            raise ValueError(
                f"{', '.join(missing)} missing: make the corpus again with `turboportrait train synthesize`"
            )
        return _head_views(arrays, model, scale)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise TurboPortraitError("bad_corpus", f"{path}: {error}") from error


_WANTED = ("truth", "cameras", "betas", "expressions", "poses", "translations")


def _head_views(arrays: dict[str, np.ndarray], model: HeadModel, scale: float) -> HeadViews:
    images, betas = arrays["truth"], arrays["betas"].astype(np.float32)
    count = len(images)
    if images.dtype != np.uint8 or images.shape != (count, images.shape[1], images.shape[1], 4) or count < 2:
        raise ValueError(f"truth is {images.shape} {images.dtype} in place of (at least 2, S, S, 4) uint8")
    shapes = {"cameras": (count, 25), "expressions": (count, None), "poses": (count, 5, 3), "translations": (count, 3)}
    for name, shape in shapes.items():
        given = arrays.get(name)
        if given is None:
            continue
        if given.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, given.shape, strict=True)):
            raise ValueError(f"{name} is {given.shape} in place of {shape}")
        if not np.isfinite(given).all():
            raise ValueError(f"{name} has values that are not finite")
    joints = model.rest_joints(model.rest_vertices(betas))
    cameras, points = [], []
    for k in range(count):
        pose, translation = (arrays[name][k] if name in arrays else None for name in ("poses", "translations"))
        parameters = HeadParameters.from_arrays(pose, arrays["expressions"][k], translation)
        camera = _camera(arrays["cameras"][k], images.shape[1])
        carried = HeadFraming(np.zeros(3), joints, model.parents, camera).head_transform(parameters)
        cameras.append(Camera.from_arrays(camera.intrinsics, camera.extrinsics @ carried, camera.width, camera.height))
        points.append(head_points(model, betas, parameters, scale))
    return HeadViews(images, cameras, np.stack(points))


def _camera(numbers: np.ndarray, size: int) -> Camera:
    return Camera.from_arrays(numbers[:9].reshape(3, 3), numbers[9:].reshape(4, 4), size, size)
