"""A folder of people to a folder of training shards: several processes, resumable, what is left out named."""

from __future__ import annotations

import json
import multiprocessing
import zipfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from backend.data.loading import Skipped
from backend.protocol.errors import TurboPortraitError
from backend.synthesis.files import people, read_person
from backend.training import corpus
from backend.training.synthetic.pairs import Rejected

SUMMARY = "summary.json"


@dataclass
class PairingSummary:
    """What a run did; `data convert` prints it.

    Attributes:
        people: that lie in the folder, `held_out` among them. there: shards that were there before. written: this
            run's. skipped: people without a shard, and why.
    """

    people: int = 0
    held_out: int = 0
    there: int = 0
    written: int = 0
    skipped: list[Skipped] = field(default_factory=list)


def write_people_shards(
    folder: Path,
    output: Path,
    size: int,
    workers: int,
    most: int | None = None,
    report: Callable[[Path, str], None] = lambda person, error: None,
) -> PairingSummary:
    """Make the shards that are not there yet; write summary.json beside them, however it ends.

    A shard's number is the person's, so that the split by identity is that of all other shards. People that were
    turned away once are not tried again: the same portrait gives the same answer.

    Args:
        folder: of `data synthesize`. most: only the first so many people.
        report: called after each person with its folder and, if it was left out, the reason.

    Raises:
        TurboPortraitError: `bad_corpus`: the output has shards of another making; `cannot_write`; `disk_full`.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TurboPortraitError("cannot_write", f"{output}: {error}") from error
    for part in output.glob("identity_*.part"):
        part.unlink(missing_ok=True)
    found = people(folder)[:most]
    turned_away = dict(corpus.rejections(output))
    there = {path.stem.removeprefix("identity_"): path for path in corpus.shards(output)}
    summary = PairingSummary(len(found), sum(corpus.is_held_out(_number(path)) for path in found))
    waiting = []
    for path in found:
        if (number := f"{_number(path):06d}") in there:
            _check_making(there[number], size)
            summary.there += 1
        elif _number(path) in turned_away:
            summary.skipped.append(Skipped(path.name, turned_away[_number(path)]))
        else:
            waiting.append(path)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=corpus.one_thread)
    try:
        running = {pool.submit(_write_shard, path, output, size): path for path in waiting}
        for future in as_completed(running):
            path, error = running[future], ""
            try:
                future.result()
                summary.written += 1
            except Rejected as reason:
                error = str(reason)
                summary.skipped.append(Skipped(path.name, error))
                corpus.reject(output, _number(path), error)
            except TurboPortraitError as reason:
                if reason.code != "bad_corpus":
                    raise
                # A damaged folder may be made again: it is not turned away for good.
                error = str(reason)
                summary.skipped.append(Skipped(path.name, error))
            report(path, error)
    except BrokenProcessPool as error:
        raise TurboPortraitError("internal", "a worker has died; run the same command again to go on") from error
    finally:
        pool.shutdown(cancel_futures=True)
        _save(output, summary)
    return summary


def _number(person: Path) -> int:
    return int(person.name.removeprefix("person_"))


def _check_making(shard: Path, size: int) -> None:
    try:
        with np.load(shard, allow_pickle=False) as stored:
            ours, found = "moment" in stored.files, stored["reference"].shape[0]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TurboPortraitError("bad_corpus", f"{shard}: {error}; remove it to have it made again") from error
    if not ours or found != size:
        raise TurboPortraitError(
            "bad_corpus", f"{shard} is of another making or size; give another folder for these shards"
        )


def _write_shard(person: Path, output: Path, size: int) -> None:
    from backend.synthesis.pairs import make_person_pairs
    from backend.tracking.embedding import with_landmarks
    from flame import load_head_model

    identity, more = make_person_pairs(read_person(person), with_landmarks(load_head_model()), size)
    try:
        corpus.write_identity(output, identity, **more)
    except OSError as error:
        for part in output.glob(f"identity_{identity.seed:06d}.*.part"):
            part.unlink(missing_ok=True)
        raise TurboPortraitError(
            "disk_full", f"identity_{identity.seed:06d}.npz in {output}: {error}",
            hint="Make room and run the same command again.",
        ) from error  # fmt: skip


def _save(output: Path, summary: PairingSummary) -> None:
    part = output / f"{SUMMARY}.part"
    try:
        part.write_text(json.dumps(asdict(summary), indent=1) + "\n")
        part.rename(output / SUMMARY)
    except OSError:
        # The shards are what counts; a full disk is told by what it stopped.
        part.unlink(missing_ok=True)
