"""The corpus on the disk: one folder a person, written whole or not at all, and how it is read.

person_000123/
    person.json      who it is: seed, traits, assets, head model; of each view its size and what the face plays
    views.npz        N views: K (N, 3, 3), world_to_camera (N, 4, 4), angles (N, 2) degrees off the front, pose
                     (N, 5, 3), expression (N, E), translation (N, 3), landmarks (N, 478, 2) pixels, landmarks_3d
                     (N, 478, 3); depth_00 (S, S) float32 metres along the camera's axis, 0 where nothing is, ...;
                     betas (B,) and the exact vertices at rest (V, 3)
    view_00.png      (S, S, 4) straight alpha: the portrait, 512 wide; then the others, 256 wide
    labels_00.png    (S, S) uint8: what each pixel shows, by LABELS; 0 where nothing is
    background_00.png (S, S, 3) what lies behind each
    portrait.png     (S, S, 3) view 0 before its background, with the camera's grain and JPEG
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import atomic_folder, npz_bytes
from backend.protocol.head_parameters import HeadParameters

FORMAT = 2
LABELS = {
    "skin": 1,
    "hair": 2,
    "headwear": 3,
    "clothing": 4,
    "eyewear": 5,
    "ears": 6,
    "neck": 7,
    "eyes": 8,
    "mouth": 9,
    "brows": 10,
    "beard": 11,
}
"""The first five are the classes; the others are parts of the skin's. 0 is the background. Lashes are brows here."""
MOST_VIEWS, MOST_PIXELS = 64, 2048


@dataclass(frozen=True, eq=False)
class PersonViews:
    """A person as read, N views, the k-th of S_k x S_k pixels, the first the portrait.

    Attributes:
        seed: the person's number. about: what person.json says.
        betas: (B,); vertices: (V, 3) the exact head at rest.
        cameras, parameters: N each.
        images: N of (S, S, 4) uint8, straight alpha. labels: N of (S, S) uint8, by `LABELS`.
        depth: N of (S, S) float32, metres along the camera's axis, 0 where nothing is.
        landmarks: (N, 478, 2) float32, pixels. angles: (N, 2) float32, yaw and pitch off the front, degrees.
        backgrounds: N of (S, S, 3) uint8. portrait: (S, S, 3) uint8, the first view before its background, as a camera
            stores it.
    """

    seed: int
    about: dict
    betas: np.ndarray
    vertices: np.ndarray
    cameras: tuple[Camera, ...]
    parameters: tuple[HeadParameters, ...]
    images: tuple[np.ndarray, ...]
    labels: tuple[np.ndarray, ...]
    depth: tuple[np.ndarray, ...]
    landmarks: np.ndarray
    angles: np.ndarray
    backgrounds: tuple[np.ndarray, ...]
    portrait: np.ndarray


def person_folder(folder: Path, seed: int) -> Path:
    """Where a person lies."""
    return Path(folder) / f"person_{seed:06d}"


def is_written(folder: Path, seed: int, size: int, views: int) -> bool:
    """Whether a person is there, in this size and with so many views besides the portrait.

    Raises:
        TurboPortraitError: `bad_corpus`: it is there, but of another size or number of views.
    """
    path = person_folder(folder, seed) / "person.json"
    if not path.is_file():
        return False
    try:
        about = json.loads(path.read_text())
        found = (about["sizes"][0], len(about["views"]) - 1)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TurboPortraitError("bad_corpus", f"{path}: {error}; remove the folder to have it made again") from error
    if found != (size, views):
        raise TurboPortraitError(
            "bad_corpus", f"{path.parent} has {found[1]} views of {found[0]} pixels in place of {views} of {size}; "
            "use another folder"
        )  # fmt: skip
    return True


def write_person(
    folder: Path, seed: int, about: dict, arrays: dict[str, np.ndarray], images: dict[str, np.ndarray]
) -> None:
    """Write a person's folder whole or not at all.

    Args:
        about: for person.json. arrays: for views.npz. images: uint8 by the stem of the file.

    Raises:
        TurboPortraitError: as `atomic_folder`.
    """
    with atomic_folder(person_folder(folder, seed)) as part:
        for stem, pixels in images.items():
            Image.fromarray(pixels).save(part / f"{stem}.png", compress_level=4)
        (part / "views.npz").write_bytes(npz_bytes(format=np.array(FORMAT), **arrays))
        (part / "person.json").write_text(json.dumps(about, indent=1) + "\n")


def people(folder: Path) -> list[Path]:
    """The folders of all people, by their seeds."""
    return sorted(p.parent for p in Path(folder).glob("person_??????/person.json"))


def read_person(path: Path) -> PersonViews:
    """Read and check a person's folder.

    Raises:
        TurboPortraitError: `bad_corpus`: something is missing, damaged or of another format.
    """
    try:
        about = json.loads((path / "person.json").read_text())
        with np.load(path / "views.npz", allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        sizes = [int(size) for size in about["sizes"]]
        count = len(sizes)
        if int(arrays["format"]) != FORMAT or not (
            0 < count <= MOST_VIEWS and 0 < min(sizes) <= max(sizes) <= MOST_PIXELS
        ):
            raise ValueError(f"format {int(arrays['format'])}, {count} views of {sizes} pixels")
        if person_folder(path.parent, about["seed"]) != path:
            raise ValueError(f"it is the folder of person {about['seed']}")
        shapes = {"K": (count, 3, 3), "world_to_camera": (count, 4, 4), "angles": (count, 2)}
        shapes |= {f"depth_{k:02d}": (size, size) for k, size in enumerate(sizes)}
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{name} is {arrays[name].shape} in place of {shape}")
        images, labels, backgrounds = (
            tuple(_image(path / f"{stem}_{k:02d}.png", (size, size, *channels)) for k, size in enumerate(sizes))
            for stem, channels in (("view", (4,)), ("labels", ()), ("background", (3,)))
        )
        return PersonViews(
            seed=int(about["seed"]),
            about=about,
            betas=arrays["betas"],
            vertices=arrays["vertices"],
            cameras=tuple(
                Camera.from_arrays(K, pose, size, size)
                for K, pose, size in zip(arrays["K"], arrays["world_to_camera"], sizes, strict=True)
            ),
            parameters=tuple(
                HeadParameters.from_arrays(*moving)
                for moving in zip(arrays["pose"], arrays["expression"], arrays["translation"], strict=True)
            ),
            images=images,
            labels=labels,
            depth=tuple(arrays[f"depth_{k:02d}"] for k in range(count)),
            landmarks=arrays["landmarks"],
            angles=arrays["angles"],
            backgrounds=backgrounds,
            portrait=_image(path / "portrait.png", (sizes[0], sizes[0], 3)),
        )
    except (
        OSError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        UnidentifiedImageError,
    ) as error:
        raise TurboPortraitError("bad_corpus", f"{path}: {error}") from error


def _image(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    with Image.open(path, formats=["PNG"]) as image:
        if image.size != shape[1::-1]:
            raise ValueError(f"{path.name} has {image.size} pixels")
        pixels = np.asarray(image)
    if pixels.shape != shape:
        raise ValueError(f"{path.name} is {pixels.shape} in place of {shape}")
    return pixels
