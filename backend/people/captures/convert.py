"""Aligned subjects to training shards: the reference is registered, the avatar rendered by the target cameras."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from backend.avatars.bust import register_bust
from backend.geometry.similarity import Similarity, fit_similarity
from backend.people import shards
from backend.people.captures.split import is_held_out
from backend.people.captures.subject import CapturedView, CaptureSubject, Unusable
from backend.people.shards import Identity, write_identity
from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import append_file
from backend.refiner.views import known_places, known_portrait
from backend.tracking import PortraitParser
from backend.tracking.photo import encode_photo
from flame import HeadModel

LEDGER_NAME = "subjects.jsonl"
SCALES = 0.75, 1.33
"""A fitted head that is smaller or larger than the calibrated one by more than that was not fitted to it."""
FARTHEST = 0.02
"""Metres, median, between fitted and triangulated landmarks."""


@dataclass(frozen=True)
class LedgerEntry:
    """A line of the ledger: which subject a shard's number stands for."""

    seed: int
    source: str
    identity: str
    moment: str


class Ledger:
    """The numbers of converted subjects, in a file that only grows, so that a run can be gone on with.

    Training takes the held-out ones to be those whose number `shards.is_held_out` says so of; here numbers are given
    such that these are the held-out identities.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LEDGER_NAME
        lines = self._path.read_text().splitlines() if self._path.is_file() else []
        try:
            self.entries = [LedgerEntry(**json.loads(line)) for line in lines if line]
        except (TypeError, ValueError) as error:
            raise TurboPortraitError("bad_corpus", f"{self._path}: {error}") from error
        self._taken = {entry.seed for entry in self.entries}
        # Shards of another making in the same folder keep theirs.
        self._taken |= {shards.seed_of(path) for path in shards.shards(folder)}

    def number(self, subject: CaptureSubject) -> int:
        """The subject's number: the one that it had before, or a new one, which is kept on the disk at once.

        Raises:
            TurboPortraitError: `disk_full`, `read_only`, `cannot_write`.
        """
        key = (subject.source, subject.identity, subject.moment)
        for entry in self.entries:
            if (entry.source, entry.identity, entry.moment) == key:
                return entry.seed
        held_out = is_held_out(subject.source, subject.identity)
        seed = 0
        while seed in self._taken or shards.is_held_out(seed) != held_out:
            seed += 1
        entry = LedgerEntry(seed, *key)
        append_file(self._path, json.dumps(vars(entry)).encode() + b"\n")
        self.entries.append(entry)
        self._taken.add(seed)
        return seed


def has_shard(folder: Path, seed: int) -> bool:
    """Whether a number's shard is written."""
    return any(shards.seed_of(path) == seed for path in shards.shards(folder))


def write_shard(folder: Path, seed: int, subject: CaptureSubject, model: HeadModel) -> None:
    """Register, render and write one subject.

    Raises:
        Unusable: it cannot be registered, or the fitted head is not where the calibration says it is.
        TurboPortraitError: `disk_full`, `read_only`, `cannot_write`, with nothing left behind.
    """
    try:
        avatar = register_bust(encode_photo(subject.photo), model)
    except Exception as error:
        raise Unusable(f"not registered: {error}") from error
    tracked = avatar.tracked
    placed = _place(subject.landmarks, model.landmark_positions(tracked.vertices))
    views = (subject.reference, *subject.targets)
    cameras = [_reference_camera(subject, avatar), *(placed.camera(view.camera) for view in subject.targets)]
    raw = avatar.render(cameras, tracked.parameters)
    truth = np.stack([_with_mask(view) for view in views])
    head = np.stack([truth[i, ..., 3] if view.head is None else view.head for i, view in enumerate(views)])
    identity = Identity(
        seed,
        reference=truth[0],
        raw=np.stack([view.rgba for view in raw]),
        truth=truth,
        confidence=np.stack([np.rint(255 * view.confidence).astype(np.uint8) for view in raw]),
        head=head,
        angles=np.array([(view.yaw, view.pitch) for view in views], np.float32),
        place=np.stack([known_places(view.rgba, view.place) for view in raw]).astype(np.float16),
        warped=np.stack([known_portrait(view.rgba, view.warped) for view in raw]),
    )
    more: dict[str, np.ndarray] = {
        "cameras": np.array([[*camera.K, *camera.world_to_camera] for camera in cameras]),
        "expressions": np.tile(np.array(tracked.parameters.expression, np.float32), (len(views), 1)),
        "betas": tracked.betas.astype(np.float32),
        **{f"flame_{name}": values for name, values in subject.flame.items()},
    }
    write_identity(folder, identity, **more)


def _place(landmarks: np.ndarray, fitted: np.ndarray) -> Similarity:
    placed = fit_similarity(landmarks, fitted)
    distance = np.linalg.norm(placed(landmarks) - fitted, axis=1)
    if not SCALES[0] < placed.scale < SCALES[1] or np.median(distance) > FARTHEST:
        raise Unusable(
            f"the fitted head does not meet the calibrated one: {placed.scale:.2f} times its size, "
            f"landmarks {1000 * np.median(distance):.0f} mm off"
        )
    return placed


def _reference_camera(subject: CaptureSubject, avatar) -> Camera:
    """The fitted camera, cut as the reference is: there the avatar repeats the photo."""
    tracked = avatar.tracked
    scale, shift = tracked.from_photo[0, 0], tracked.from_photo[:, 2]
    x, y = scale * np.array(subject.photo_margin) + shift
    return tracked.camera.crop(x, y, scale * subject.photo_side, subject.reference.image.shape[0])


def _with_mask(view: CapturedView) -> np.ndarray:
    mask = view.mask
    if mask is None:
        fine = cv2.resize(view.image, (512, 512), interpolation=cv2.INTER_CUBIC)
        alpha = PortraitParser.shipped().parse(fine).alpha
        mask = np.rint(255 * cv2.resize(alpha, view.image.shape[:2][::-1], interpolation=cv2.INTER_AREA))
    return np.concatenate([view.image, np.clip(mask, 0, 255).astype(np.uint8)[..., None]], -1)
