"""Training shards on disk: one .npz per identity, named by its number."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import append_file, npz_bytes, write_file

FORMAT = 3
HELD_OUT_EVERY = 8
"""Of so many seeds the last is never trained on."""
NONE_HELD_OUT = "none of these people is held out: of every eight the last is, 7, 15, 23 and so on"
REJECTED_NAME = "rejected.jsonl"


@dataclass(frozen=True)
class Identity:
    """A shard's content, N views of S x S pixels; the first is the portrait's own.

    Attributes:
        seed: the identity's number.
        reference: (S, S, 4) uint8, the portrait with its matte; straight alpha here and below.
        raw, truth: (N, S, S, 4) uint8, the avatar's views and the true ones.
        confidence: (N, S, S) uint8, how sure the photo is of a pixel of the raw view; 255 for 1.
        head: (N, S, S) uint8, 255 where the loss shall look.
        angles: (N, 2) float32, yaw and pitch off the portrait's view, degrees.
        place: (N, S, S, 3) float16, metres, see `RenderedView.place`; the first is the reference's as well.
        warped: (N, S, S, 3) uint8, see `RenderedView.warped`.
    """

    seed: int
    reference: np.ndarray
    raw: np.ndarray
    truth: np.ndarray
    confidence: np.ndarray
    head: np.ndarray
    angles: np.ndarray
    place: np.ndarray
    warped: np.ndarray

    @property
    def turned(self) -> np.ndarray:
        """(N,) float32 radians between each view's line of sight and the portrait's."""
        yaw, pitch = np.radians(self.angles).T
        return np.arccos(np.cos(yaw) * np.cos(pitch)).astype(np.float32)


_ARRAYS = tuple(field.name for field in fields(Identity) if field.name != "seed")


def is_held_out(seed: int) -> bool:
    """Whether an identity belongs to the evaluation and is never trained on."""
    return seed % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def seeds_of(first: int, identities: int, held_out_only: bool = False) -> list[int]:
    """So many seeds from the first one on, or those of them that are held out."""
    return [seed for seed in range(first, first + identities) if is_held_out(seed) or not held_out_only]


def shards(folder: str | Path) -> list[Path]:
    """The corpus' files in the order of their seeds."""
    return sorted(Path(folder).glob("identity_*.npz"))


def rejections(folder: str | Path) -> list[tuple[int, str]]:
    """Seeds that did not enter, with the reasons."""
    path = Path(folder) / REJECTED_NAME
    if not path.is_file():
        return []
    return [(entry["seed"], entry["reason"]) for entry in map(json.loads, path.read_text().splitlines())]


def reject(folder: str | Path, seed: int, reason: str) -> None:
    """Note that a seed did not enter, so that it is not tried again."""
    append_file(Path(folder) / REJECTED_NAME, json.dumps({"seed": seed, "reason": reason}).encode() + b"\n")


def load_identities(folder: str | Path, held_out: bool) -> list[Identity]:
    """All identities of a split, in memory.

    Raises:
        TurboPortraitError: `bad_corpus`: the folder has none, or a shard is damaged or of another format.
    """
    found = [read_identity(path) for path in shards(folder) if is_held_out(seed_of(path)) == held_out]
    if not found:
        kind = "held-out" if held_out else "training"
        raise TurboPortraitError("bad_corpus", f"{folder} has no {kind} identities")
    return found


def load_preview_identities(folder: str | Path, most: int = 4) -> list[Identity]:
    """A few identities to watch a run by: held-out ones, or any if none is held out.

    Raises:
        TurboPortraitError: `bad_corpus`, as `load_identities`.
    """
    paths = shards(folder)
    held_out = [path for path in paths if is_held_out(seed_of(path))]
    return [read_identity(path) for path in (held_out or paths)[:most]]


def read_identity(path: Path) -> Identity:
    """A shard's content.

    Raises:
        TurboPortraitError: `bad_corpus`: it is damaged or of another format.
    """
    try:
        with np.load(path, allow_pickle=False) as shard:
            if int(shard["format"]) != FORMAT:
                raise ValueError(f"format {int(shard['format'])} in place of {FORMAT}")
            identity = Identity(seed_of(path), **{name: shard[name] for name in _ARRAYS})
        _check(identity)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise TurboPortraitError("bad_corpus", f"{path}: {error}") from error
    return identity


def write_identity(folder: str | Path, identity: Identity, **more: np.ndarray) -> None:
    """Write a shard whole or not at all; `more` are arrays that training does not read.

    Raises:
        ValueError: the arrays do not fit each other.
        TurboPortraitError: as `atomic_file`.
    """
    _check(identity)
    path = Path(folder) / f"identity_{identity.seed:06d}.npz"
    write_file(path, npz_bytes(format=np.array(FORMAT), **(asdict(identity) | more)))


def _check(identity: Identity) -> None:
    if identity.raw.ndim != 4:
        raise ValueError(f"raw has {identity.raw.ndim} dimensions in place of 4")
    count, size = identity.raw.shape[:2]
    if count < 2 or size < 8:
        raise ValueError(f"{count} views of {size} pixels are too few: the portrait's own and one more are needed")
    images: dict[str, tuple[type, tuple[int, ...]]] = {
        name: (np.uint8, (count, size, size)) for name in ("confidence", "head")
    }
    images |= {name: (np.uint8, (count, size, size, 4)) for name in ("raw", "truth")}
    images |= {"reference": (np.uint8, (size, size, 4)), "place": (np.float16, (count, size, size, 3))}
    images |= {"warped": (np.uint8, (count, size, size, 3))}
    images |= {"angles": (np.float32, (count, 2))}
    for name, (kind, shape) in images.items():
        array = getattr(identity, name)
        if array.dtype != kind or array.shape != shape:
            raise ValueError(f"{name} is {array.shape} {array.dtype} in place of {shape} {np.dtype(kind)}")


def seed_of(path: Path) -> int:
    """The identity's number, by its shard's name."""
    return int(path.stem.removeprefix("identity_"))


def one_thread() -> None:
    """Let a worker process use one core; its siblings use the others."""
    import cv2
    import numba

    cv2.setNumThreads(1)
    numba.set_num_threads(1)
