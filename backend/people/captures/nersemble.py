"""NeRSemble (Kirschstein et al. 2023), in each of its three published layouts.

- Version 2 (repository `nersemble-data`): `018/calibration/camera_params.json` with one `intrinsics` for all cameras,
  and movies `018/sequences/EMO-1-shout+laugh/images/cam_222200037.mp4`.
- The benchmark (`nersemble-benchmark`; the folders `nvs` and `mono_flame_avatar`): the same with `intrinsics` per
  camera, `alpha_maps/cam_*.mp4`, and the data's own FLAME tracking in `tracking/flame2023_tracking.npz`.
- Version 1 (`nersemble`): `018/camera_params.json` and frames
  `018/sequences/EMO-1-shout+laugh/frame_00000/images-2x/cam_222200037.png` with `alpha_map/cam_*.png` (in a later
  release `images-2x-73fps` and `alpha_map-73fps`).

`world_2_cam` holds a 4x4 matrix per serial, OpenCV axes, metres; intrinsics are those of pictures 2200 wide and 3208
high, except in the benchmark, where they are those of its movies. Its colour calibration is not applied.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from backend.people.captures.files import matrix, picture_size, read_frame, read_json, read_picture, video_facts
from backend.people.captures.source import choose_moments
from backend.people.captures.subject import Capture, CapturedPicture, SourceCamera, Unusable

FULL_WIDTH, FULL_HEIGHT = 2200, 3208
WITHOUT_A_FACE = ("BACKGROUND",)
FLAME_KEYS = ("shape", "expression", "rotation", "translation", "jaw", "neck", "eyes", "scale")
IMAGES, ALPHAS = ("images-2x-73fps", "images-2x"), ("alpha_map-73fps", "alpha_map")
SEQUENCES_TRIED = 24


class NeRSemble:
    """See the module; `folder` is the one with a folder of three digits per participant."""

    name = "nersemble"
    targets = 7

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def found_in(folder: Path) -> bool:
        return any(_calibration(person) for person in folder.glob("[0-9][0-9][0-9]"))

    def identities(self) -> list[str]:
        return sorted(person.name for person in self.folder.glob("[0-9][0-9][0-9]") if person.is_dir())

    def captures(self, identity: str) -> list[Capture]:
        person = self.folder / identity
        calibration = _calibration(person)
        if calibration is None:
            raise Unusable("camera_params.json is missing")
        params = read_json(calibration)
        if not isinstance(params, dict) or not isinstance(params.get("world_2_cam"), dict):
            raise Unusable("camera_params.json has no world_2_cam")
        moments = list(_moments(person))
        if not moments:
            raise Unusable("there are no sequences with pictures")
        chosen = choose_moments(self.name, identity, moments)
        return [_capture(identity, params, sequence, frame) for sequence, frame in chosen]


def _calibration(person: Path) -> Path | None:
    places = (person / "calibration" / "camera_params.json", person / "camera_params.json")
    return next((place for place in places if place.is_file()), None)


def _moments(person: Path) -> Iterator[tuple[Path, int]]:
    """Sequences and frames that can be chosen; a movie's frames by a first look at one camera's."""
    sequences = sorted(path for path in (person / "sequences").glob("*") if path.name not in WITHOUT_A_FACE)
    for sequence in sequences[:SEQUENCES_TRIED]:
        frames = sorted(int(path.name[6:]) for path in sequence.glob("frame_[0-9]*") if path.name[6:].isdigit())
        if frames:
            yield from ((sequence, frame) for frame in frames)
            continue
        for movie in sorted(sequence.glob("images/cam_*.mp4")):
            try:
                yield from ((sequence, frame) for frame in range(video_facts(movie)[0]))
                break
            except Unusable:
                continue


def _capture(identity: str, params: dict, sequence: Path, frame: int) -> Capture:
    pictures, notes = [], []
    movies = sorted(sequence.glob("images/cam_*.mp4"))
    folder = sequence / f"frame_{frame:05d}"
    frames = next((sorted((folder / name).glob("cam_*.png")) for name in IMAGES if (folder / name).is_dir()), [])
    for path in movies or frames:
        serial = path.stem.removeprefix("cam_")
        try:
            pictures.append(_movie_picture(path, params, frame) if movies else _frame_picture(path, params))
        except Unusable as reason:
            notes.append(f"{sequence.name} camera {serial}: {reason}")
    flame, note = _flame(sequence / "tracking" / "flame2023_tracking.npz", frame)
    moment = f"{sequence.name}/{frame:05d}"
    return Capture("nersemble", identity, moment, tuple(pictures), flame, (*notes, *note))


def _movie_picture(path: Path, params: dict, frame: int) -> CapturedPicture:
    frames, width, height = video_facts(path)
    if frame >= frames:
        raise Unusable(f"has only {frames} frames")
    alpha = path.parents[1] / "alpha_maps" / path.name
    mask = partial(_alpha_frame, alpha, frame) if alpha.is_file() else None
    camera = _camera(params, path.stem.removeprefix("cam_"), width, height)
    return CapturedPicture(path.stem, camera, partial(read_frame, path, frame), mask)


def _frame_picture(path: Path, params: dict) -> CapturedPicture:
    masks = (path.parents[1] / name / path.name for name in ALPHAS)
    alpha = next((mask for mask in masks if mask.is_file()), None)
    camera = _camera(params, path.stem.removeprefix("cam_"), *picture_size(path))
    return CapturedPicture(path.stem, camera, partial(read_picture, path),
                   partial(read_picture, alpha, labels=True) if alpha else None)  # fmt: skip


def _camera(params: dict, serial: str, width: int, height: int) -> SourceCamera:
    if serial not in params["world_2_cam"]:
        raise Unusable("camera_params.json does not know this camera")
    pose = matrix(params["world_2_cam"][serial], 4, 4, what="world_2_cam")
    intrinsics = params.get("intrinsics")
    if isinstance(intrinsics, dict):
        # The benchmark: as its movies are.
        K = matrix(intrinsics.get(serial), 3, 3, what="intrinsics")
        return SourceCamera(_by_corner(K), pose, width, height)
    K = matrix(intrinsics, 3, 3, what="intrinsics")
    return SourceCamera(_by_corner(K), pose, FULL_WIDTH, FULL_HEIGHT).resized(width, height)


def _by_corner(K: np.ndarray) -> np.ndarray:
    """From OpenCV's pixels, the first of which has its centre at 0, to ours."""
    return K + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])


def _alpha_frame(path: Path, frame: int) -> np.ndarray:
    return read_frame(path, frame)[..., 0]


def _flame(path: Path, frame: int) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The tracking of a frame, and what to say about it if it cannot be read."""
    if not path.is_file():
        return {}, ()
    try:
        with np.load(path, allow_pickle=False) as file:
            tracking = {name: np.asarray(file[name], np.float32) for name in FLAME_KEYS if name in file}
            at = int(np.flatnonzero(np.asarray(file["frames"]) == frame)[0])
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        return {}, (f"{path.name} has no tracking of frame {frame}: {error}",)
    once = ("shape", "scale")
    return {name: values[0 if name in once or len(values) == 1 else at] for name, values in tracking.items()}, ()
