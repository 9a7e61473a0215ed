"""The corpus on disk: one npz shard per identity, named by its seed, made by several processes, resumable."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

FORMAT = 1
HELD_OUT_EVERY = 8
"""Of so many seeds the last is never trained on."""
REJECTED_NAME = "rejected.jsonl"


@dataclass(frozen=True)
class SynthesisConfig:
    """What to synthesise.

    Attributes:
        folder: where the shards go.
        first_seed, identities: the seeds first_seed ... first_seed + identities - 1.
        size: pixels of the square images.
        workers: processes.
    """

    folder: str
    first_seed: int = 0
    identities: int = 128
    size: int = 256
    workers: int = 2


@dataclass(frozen=True)
class Identity:
    """A shard's content; the arrays are described in `backend.training.synthetic.pairs.Pairs`."""

    seed: int
    reference: np.ndarray
    raw: np.ndarray
    truth: np.ndarray
    confidence: np.ndarray
    head: np.ndarray
    angles: np.ndarray


def is_held_out(seed: int) -> bool:
    """Whether an identity belongs to the evaluation and is never trained on."""
    return seed % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def synthesize(config: SynthesisConfig, report: Callable[[int, str | None], None]) -> None:
    """Make the shards that are not there yet.

    Args:
        report: called after each identity with its seed and, if it was rejected, the reason.
    """
    folder = Path(config.folder)
    folder.mkdir(parents=True, exist_ok=True)
    settled = {seed for seed, _ in rejections(folder)} | {_seed_of(path) for path in shards(folder)}
    seeds = [s for s in range(config.first_seed, config.first_seed + config.identities) if s not in settled]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(config.workers, context, initializer=_one_thread) as pool:
        waiting = {pool.submit(_make_shard, seed, config.size, str(folder)): seed for seed in seeds}
        for future in as_completed(waiting):
            seed, reason = waiting[future], future.result()
            if reason is not None:
                with (folder / REJECTED_NAME).open("a") as file:
                    file.write(json.dumps({"seed": seed, "reason": reason}) + "\n")
            report(seed, reason)


def shards(folder: str | Path) -> list[Path]:
    """The corpus' files in the order of their seeds."""
    return sorted(Path(folder).glob("identity_*.npz"))


def rejections(folder: str | Path) -> list[tuple[int, str]]:
    """Seeds that did not enter, with the reasons."""
    path = Path(folder) / REJECTED_NAME
    if not path.is_file():
        return []
    return [(entry["seed"], entry["reason"]) for entry in map(json.loads, path.read_text().splitlines())]


def load_identities(folder: str | Path, held_out: bool) -> list[Identity]:
    """All identities of a split, in memory.

    Raises:
        FileNotFoundError: the corpus has none.
        ValueError: a shard is of another format.
    """
    found = list(_read(path for path in shards(folder) if is_held_out(_seed_of(path)) == held_out))
    if not found:
        kind = "held-out" if held_out else "training"
        raise FileNotFoundError(f"{folder} has no {kind} identities: run `turboportrait train synthesize` first")
    return found


def _read(paths: Iterator[Path]) -> Iterator[Identity]:
    for path in paths:
        with np.load(path, allow_pickle=False) as shard:
            if int(shard["format"]) != FORMAT:
                raise ValueError(f"{path} is of format {int(shard['format'])}, not {FORMAT}: synthesise it again")
            names = ("reference", "raw", "truth", "confidence", "head", "angles")
            yield Identity(_seed_of(path), **{name: shard[name] for name in names})


def _seed_of(path: Path) -> int:
    return int(path.stem.removeprefix("identity_"))


def _one_thread() -> None:
    import cv2
    import numba

    cv2.setNumThreads(1)
    numba.set_num_threads(1)


def _make_shard(seed: int, size: int, folder: str) -> str | None:
    """Make one identity's shard; the reason if there is none to make."""
    from backend.tracking.embedding import with_landmarks
    from backend.training.synthetic.pairs import Rejected, make_pairs
    from flame import load_head_model

    try:
        pairs = make_pairs(seed, with_landmarks(load_head_model()), size)
    except Rejected as reason:
        return str(reason)
    path = Path(folder) / f"identity_{seed:06d}.npz"
    # Renamed when whole: an interrupted run leaves no half shard.
    partial = path.with_suffix(f".{os.getpid()}.part")
    with partial.open("wb") as file:
        np.savez_compressed(file, format=FORMAT, seed=seed, **asdict(pairs))
    partial.rename(path)
    return None
