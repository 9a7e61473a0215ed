"""Tasks for other systems: held-out portraits with the cameras to see them by, and the views that come back.

tasks/
    README.txt                 what to do
    identity_010007/
        portrait.png           (S, S, 4) the portrait with its matte
        cameras.json           the portrait's camera and the views', pinholes in OpenCV axes over one head space,
                               metres; where the portrait's landmarks lie in it
views/
    identity_010007/
        view_01.png            (S, S, 3 or 4) what another system makes of it, for each view that cameras.json names
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from backend.people.shards import is_held_out, read_identity, seed_of, shards
from backend.photos.saving import save_picture
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import write_file

MOVING = ("moment", "expressions", "poses")
"""What a shard says of each view besides its camera."""
EXPLANATION = """Each folder here has a portrait and cameras. Render the person of portrait.png, by whatever system, as
each camera of cameras.json sees the head, and save it under the view's name with .png, in a folder of the
same name below a folder of your own: {size} x {size} pixels, RGB, or RGBA with straight alpha.

A camera is a pinhole: K in pixels (a pixel's centre is at .5), world_to_camera 4 x 4 in OpenCV axes (x right,
y down, z forward), metres. All cameras of a person are over one space, and the first is the portrait's own.
`landmarks`, if there, are MediaPipe's 478 in it, metres, in the portrait's pose: align your head by them.
Views of moment 0 show the portrait's expression; in others it is what `expression` and `pose` say (FLAME-format
parameters of the open head: ARKit's 52 actions, five joints).

Then: turboportrait evaluate tables SHARDS --views NAME=YOUR_FOLDER
"""


def export_tasks(corpus: Path, folder: Path) -> int:
    """Write the tasks of all held-out people of a folder of shards; how many there are.

    Raises:
        TurboPortraitError: `bad_corpus`: nobody is held out, or a shard has no cameras; `disk_full`, `read_only`,
            `cannot_write`.
    """
    held_out = [path for path in shards(corpus) if is_held_out(seed_of(path))]
    if not held_out:
        raise TurboPortraitError("bad_corpus", f"{corpus} has no held-out identities")
    for path in held_out:
        identity = read_identity(path)
        with np.load(path, allow_pickle=False) as stored:
            if "cameras" not in stored.files:
                raise TurboPortraitError("bad_corpus", f"{path} has no cameras: `data convert` of people writes them")
            arrays = {name: stored[name] for name in ("cameras", *MOVING) if name in stored.files}
            landmarks = {"landmarks": stored["landmarks"].tolist()} if "landmarks" in stored.files else {}
        size = len(identity.reference)
        views = [_view(k, arrays, identity.angles[k], size) for k in range(len(identity.raw))]
        task = folder / path.stem
        save_picture(task / "portrait.png", identity.reference)
        cameras = {"portrait": views[0], "views": views[1:]} | landmarks
        write_file(task / "cameras.json", json.dumps(cameras, indent=1) + "\n")
        write_file(folder / "README.txt", EXPLANATION.format(size=size))
    return len(held_out)


def _view(k: int, arrays: dict[str, np.ndarray], angles: np.ndarray, size: int) -> dict:
    row = arrays["cameras"][k]
    view = {"name": f"view_{k:02d}", "width": size, "height": size, "yaw_pitch": angles.tolist()}
    view |= {"K": row[:9].reshape(3, 3).tolist(), "world_to_camera": row[9:].reshape(4, 4).tolist()}
    return view | {name.removesuffix("s"): arrays[name][k].tolist() for name in MOVING if name in arrays}


@dataclass(frozen=True)
class GivenViews:
    """Views that another system made of exported tasks.

    Attributes:
        name: of the system. folder: of its views.
    """

    name: str
    folder: Path

    def read(self, seed: int, view: int, size: int) -> np.ndarray:
        """(S, S, 4) uint8, straight alpha.

        Raises:
            TurboPortraitError: `bad_views`: it is not there, cannot be read, or has another size.
        """
        path = self.folder / f"identity_{seed:06d}" / f"view_{view:02d}.png"
        try:
            with Image.open(path, formats=["PNG"]) as image:
                if image.size != (size, size):
                    raise ValueError(f"{image.size} pixels in place of {size} x {size}")
                return np.asarray(image.convert("RGBA"))
        except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise TurboPortraitError("bad_views", f"{self.name}: {path}: {error}") from error


def parse_views(text: str) -> GivenViews:
    """NAME=FOLDER.

    Raises:
        ValueError: it is not of this form, or the folder does not exist.
    """
    name, _, folder = text.partition("=")
    if not (name.strip() and folder and Path(folder).is_dir()):
        raise ValueError(f"{text!r} is not NAME=FOLDER with a folder that exists")
    return GivenViews(name.strip(), Path(folder))
